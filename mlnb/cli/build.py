"""`mlnb build`: build the bento of a run's model in BentoML's store."""

import argparse
import json

from mlnb.cli.found_program import as_found
from mlnb.engine.project import Project
from mlnb.registry.run_references import run_reference
from mlnb.serving.packaging.packaged_runs import LATEST, build_packaged_run, find_packaged_run


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb build`."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n  mlnb build\n  mlnb build 20260102-0304 --json\n  bentoml list\n\n"
        "The version is the digest of the bundle: building again finds the same bento."
    )


def main(args: argparse.Namespace) -> int:
    """Build the bento, or find it, and print its tag; return 0."""
    project = Project.find()
    run = find_packaged_run(project, run_reference(project, args.run))
    _, built = build_packaged_run(run)
    if args.json:
        result = {
            "run": run.id,
            "bento": built.tag,
            "model": built.model_tag,
            "path": str(built.path),
            "built": not built.existed,
        }
        print(json.dumps(result))
    else:
        print(f"{built.tag}  ({'exists already' if built.existed else 'built'}, from run {run.id})")
        commands = [as_found(f"mlnb {verb} {run.id}") for verb in ("serve", "containerize")]
        print("\n  ".join([f"  {built.path}\n\nnext:", *commands]))
    return 0
