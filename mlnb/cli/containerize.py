"""`mlnb containerize`: a run's bento as a container image, with its bill of materials beside it."""

import argparse
import json
from pathlib import Path
from typing import Any

from mlnb.engine.files import write_json
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.serving.deploy.bill_of_materials import bill_of_materials
from mlnb.serving.deploy.container_engines import CHECKS, find_engine
from mlnb.serving.deploy.container_images import build_image, default_base
from mlnb.serving.deploy.image_contents import ask_image, check_pins
from mlnb.serving.packaging.run_bento import LATEST, build_winner, find_winner


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb containerize`."""
    p.add_argument("run", nargs="?", default=LATEST, help="a run's id, or its start (default: the newest proven)")
    p.add_argument("-t", "--tag", help="the image's name (default: the bento's)")
    p.add_argument("--engine", choices=list(CHECKS), help="what builds (default: the first of these that works)")
    p.add_argument("--base", default=default_base(), help="the image to stand on (default: %(default)s)")
    p.add_argument(
        "--opt", action="append", default=[], metavar="NAME[=VALUE]", help="an option of the engine's own build"
    )
    p.add_argument("--sbom", type=Path, metavar="FILE", help="the bill of materials (default: dist/<tag>.cdx.json)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb containerize                                    with Docker, Podman or Buildah, whichever works\n"
        "  mlnb containerize -t registry.example/churn:7 --engine podman\n"
        "  mlnb containerize --base registry.example/python:3.11-slim --opt network=host\n"
        "  mlnb containerize --opt no-cache --opt build-arg=UV_INDEX_URL=https://mirror.example/simple\n\n"
        "The image has the serving libraries at the versions that the model was proven with, and nothing else;\n"
        "it runs as a user that is a number, with a read-only root, no capabilities and no network if you like.\n\n"
        "exit codes: 0 built, 2 asked wrongly, 3 no engine works here, or the image could not be built"
    )


def main(args: argparse.Namespace) -> int:
    """Build the image, ask it what it holds, write that down, and print how to run it."""
    engine = find_engine(args.engine)
    options = read_options(args.opt)
    project = Project.find()
    run = find_winner(project, args.run)
    bundle, built = build_winner(run)
    tag = args.tag or built.tag
    image = build_image(engine, bundle, built, tag, args.base, options)
    contents = ask_image(engine, tag)
    check_pins(contents, (bundle.folder / "requirements.txt").read_text("utf-8"))
    place = args.sbom or project.root / "dist" / f"{tag.rpartition('/')[2].replace(':', '-')}.cdx.json"
    write_json(place, bill_of_materials(image, contents))
    if args.json:
        facts = {"run": run.id, "engine": engine.name, "sbom": str(place), "packages": len(contents.packages)}
        print(json.dumps(facts | vars(image)))
        return 0
    print(f"{tag}  ({image.bytes / 1e6:.0f} MB, user {image.user}, from run {run.id}, by {engine.name})")
    print(f"  {place}  ({len(contents.packages)} packages)\n\nNext:")
    program = "podman" if engine.name == "buildah" else engine.name
    print(f"  {program} run --rm -p 127.0.0.1:3000:3000 --read-only --tmpfs /tmp --cap-drop all \\")
    print(f"    --security-opt no-new-privileges -e MLNB_API_KEY {tag}")
    print(f"  mlnb deploy kubernetes --image {tag}")
    return 0


def read_options(pairs: list[str]) -> dict[str, Any]:
    """Return the engine's options: text, a list when one is given twice, True when it has no value."""
    options: dict[str, Any] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not name:
            raise UsageError(f"--opt {pair!r}: found no name, expected NAME or NAME=VALUE, such as network=host.")
        if not mark:
            options[name] = True
        else:
            options[name] = (*options[name], value) if isinstance(options.get(name), tuple) else (value,)
    return options
