"""`mlnb build`: build the bento of a run's model, or of several models, in BentoML's store."""

import argparse
import json
import shlex

from mlnb.cli.found_program import as_found
from mlnb.cli.selected_bento import add_options, build_selected, selection_words
from mlnb.engine.project import Project


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb build`."""
    add_options(p)
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n  mlnb build\n  mlnb build 20260102-0304 --json\n  bentoml list\n"
        "  mlnb build --all                  one bento of all models\n"
        "  mlnb build --all --canary @challenger --share 0.2    with a canary for each that has a challenger\n\n"
        "The version is the digest of the bundle: building again finds the same bento."
    )


def main(args: argparse.Namespace) -> int:
    """Build the bento, or find it, and print its tag; return 0."""
    selected = build_selected(Project.find(), args)
    built = selected.built
    if args.json:
        result = {
            "run": selected.run or None,
            "bento": built.tag,
            "model": built.model_tag,
            "path": str(built.path),
            "built": not built.existed,
        }
        print(json.dumps(result))
    else:
        print(f"{built.tag}  ({'exists already' if built.existed else 'built'}, from {selected.origin})")
        words = [selected.run] if selected.run else selection_words(args)
        commands = [as_found(shlex.join(["mlnb", verb, *words])) for verb in ("serve", "containerize")]
        print("\n  ".join([f"  {built.path}\n\nnext:", *commands]))
    return 0
