"""`mlnb containerize`: build the container image of a run's model, with its bill of materials."""

import argparse
import json
import shlex
from pathlib import Path

from mlnb.cli.deploy import NAMES
from mlnb.cli.found_program import as_found
from mlnb.cli.selected_bento import add_options, build_selected, selection_words
from mlnb.engine.files import write_json
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.serving.deploy.bill_of_materials import bill_of_materials
from mlnb.serving.deploy.container_engines import CHECKS, find_engine
from mlnb.serving.deploy.container_images import build_image, default_base
from mlnb.serving.deploy.image_contents import check_pins, probe_image
from mlnb.settings import ProcessSettings, ServiceSettings


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb containerize`."""
    add_options(p)
    p.add_argument("-t", "--tag", help="name of the image (default: that of the bento)")
    p.add_argument("--engine", choices=list(CHECKS), help="build tool (default: the first that works)")
    p.add_argument("--base", default=default_base(), help="base image (default: %(default)s)")
    p.add_argument("--opt", action="append", default=[], metavar="NAME[=VALUE]", help="option of the build tool")
    p.add_argument("--sbom", type=Path, metavar="FILE", help="bill of materials (default: dist/<tag>.cdx.json)")
    p.add_argument("--json", action="store_true", help="print one JSON object")
    p.epilog = (
        "examples:\n"
        "  mlnb containerize                                    use Docker, Podman or Buildah, the first that works\n"
        "  mlnb containerize -t registry.example/churn:7 --engine podman\n"
        "  mlnb containerize --base registry.example/python:3.11-slim --opt network=host\n"
        "  mlnb containerize --all -t registry.example/churn-models:1     one image with all models\n"
        "  mlnb containerize --opt no-cache --opt build-arg=UV_INDEX_URL=https://mirror.example/simple\n\n"
        "The image has only the serving libraries, at the versions that the model was verified with; the digests of\n"
        "their files are compared. It runs as a numeric user and can run with a read-only root, without capabilities\n"
        "and without network. It holds no secrets: -e MLNB_API_KEY passes the variable of the shell, and\n"
        "-e MLNB_PERSONAL_KEY the key of pseudonyms, if the model needs it.\n\n"
        "exit codes: 0 built, 2 usage error, 3 no build tool works here, or the image could not be built"
    )


def main(args: argparse.Namespace) -> int:
    """Build the image, write its bill of materials, and print how to run it; return 0."""
    engine = find_engine(args.engine)
    options = read_options(args.opt)
    project = Project.find()
    selected = build_selected(project, args)
    bundle, built = selected.source, selected.built
    tag = args.tag or built.tag
    image = build_image(engine, bundle, built, tag, args.base, options)
    contents = probe_image(engine, tag)
    check_pins(contents, (bundle.folder / "requirements.txt").read_text("utf-8"))
    sbom = args.sbom or project.root / "dist" / f"{tag.rpartition('/')[2].replace(':', '-')}.cdx.json"
    write_json(sbom, bill_of_materials(image, contents))
    if args.json:
        result = {
            "run": selected.run or None,
            "engine": engine.name,
            "sbom": str(sbom),
            "packages": len(contents.packages),
        }
        print(json.dumps(result | vars(image)))
        return 0
    print(f"{tag}  ({image.bytes / 1e6:.0f} MB, user {image.user}, from {selected.origin}, by {engine.name})")
    print(f"  {sbom}  ({len(contents.packages)} packages)")
    if image.unverified:
        print(f"  installed without a known digest: {', '.join(image.unverified)}")
    print("\nnext:")
    program = "podman" if engine.name == "buildah" else engine.name
    print(f"  {program} run --rm -p 127.0.0.1:3000:3000 --read-only --tmpfs /tmp --cap-drop all \\")
    secrets = [ServiceSettings.api_key.variable]
    secrets += [ProcessSettings.personal_key.variable] * bool(bundle.pseudonymized)
    variables = " ".join(f"-e {variable}" for variable in secrets)  # the values are those of the shell
    print(f"    --security-opt no-new-privileges {variables} {tag}")
    words = [selected.run] if selected.run else selection_words(args, NAMES)
    deploy = shlex.join(["mlnb", "deploy", "kubernetes", "--image", tag, *words])
    print(f"  {as_found(deploy)}")
    return 0


Options = dict[str, str | bool | tuple[str, ...]]  # by name; True: without a value


def read_options(pairs: list[str]) -> Options:
    """Return options of the build tool from `NAME=VALUE` or `NAME`; a repeated one has several values."""
    options: Options = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        name = name.strip().lstrip("-").replace("-", "_")
        if not name:
            raise UsageError(f"--opt {pair!r}: found no name, expected NAME or NAME=VALUE, such as network=host.")
        if not mark:
            options[name] = True
        else:
            before = options.get(name)
            options[name] = (*before, value) if isinstance(before, tuple) else (value,)
    return options
