"""Builds the container image of a bento."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlnb.codec import Json
from mlnb.errors import ServingError
from mlnb.serving.deploy.container_engines import Engine
from mlnb.serving.packaging.bento_stores import BuiltBento, bentoml_environment, last_lines
from mlnb.serving.packaging.bundles import BentoSource
from mlnb.serving.packaging.library_requirements import add_hashes, imported_versions, system_packages

BUILDER = Path(__file__).with_name("image_builder.py")
USER = 1034  # the same as BentoML's; Kubernetes can check that a number is not root, but not a name


@dataclass(frozen=True)
class Image:
    """An image that was built.

    Attributes:
        tag: name of the image.
        id: digest of its configuration.
        bytes: size of all layers, unpacked.
        user: user of its configuration, as user:group.
        base: the base image.
        model: tag of the model inside.
        unverified: pinned libraries whose digests are not known.
    """

    tag: str
    id: str
    bytes: int
    user: str
    base: str
    model: str
    unverified: tuple[str, ...] = ()


def default_base() -> str:
    """Return the base image for the Python that the model was trained with."""
    return f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def build_image(
    engine: Engine, bundle: BentoSource, built: BuiltBento, tag: str, base: str, options: Mapping[str, Json]
) -> Image:
    """Return the image built from a bento.

    Args:
        engine: that builds it.
        bundle: of the bento.
        built: the bento.
        tag: name of the image.
        base: the base image.
        options: further options of the engine's build, such as {"network": "host"}.

    Raises:
        ServingError: the engine fails; the message is the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="mlnb-image-") as folder:
        home = Path(folder)
        copy = home / "bentos" / bundle.name / bundle.version
        shutil.copytree(built.path, copy)
        unverified = write_hashes(copy / "env" / "python" / "requirements.txt")
        (home / "bentos" / bundle.name / "latest").write_text(bundle.version)
        for part in ("models", "tmp"):
            (home / part).mkdir()
        environment = bentoml_environment() | {"BENTOML_HOME": folder, "DOCKER_BUILDKIT": "0"}
        libraries = sorted(imported_versions((bundle.folder / "requirements.txt").read_text("utf-8")))
        stages = {"system": system_packages(libraries), "whole": libraries, "user": USER}
        done = subprocess.run(
            [sys.executable, "-P", str(BUILDER), engine.name, tag, base, json.dumps(stages), json.dumps(options)],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode:
        raise ServingError(
            f"{engine.name} could not build {tag} on {base}:\n{last_lines(done.stdout + done.stderr)}\n"
            "Choose another base image with --base, or pass options to the engine with --opt, such as a proxy."
        )
    return replace(inspect_image(engine, tag, base, bundle.model_tag), unverified=unverified)


def write_hashes(path: Path) -> tuple[str, ...]:
    """Add the digests of all files that may be installed to a bento's requirements; return the pins without."""
    text, unverified = add_hashes(path.read_text("utf-8"))
    path.write_text(text, "utf-8")
    return tuple(unverified)


def inspect_image(engine: Engine, tag: str, base: str, model: str) -> Image:
    """Return the engine's description of an image. Raises `ServingError` unless its user is a number other than 0."""
    if engine.name == "buildah":
        description = json.loads(engine.run("inspect", "--type", "image", tag))
        user, identity = description["OCIv1"]["config"].get("User", ""), description["FromImageID"]
        size = _buildah_bytes(engine, tag)
    else:
        description = json.loads(engine.run("image", "inspect", tag))[0]
        user, identity, size = description["Config"].get("User", ""), description["Id"], description["Size"]
    if not user.partition(":")[0].isdecimal() or int(user.partition(":")[0]) == 0:
        raise ServingError(f"{tag} runs as user {user or 'root'!r}, expected a number other than 0.")
    return Image(tag, identity.removeprefix("sha256:"), int(size), user, base, model)


def _buildah_bytes(engine: Engine, tag: str) -> int:
    """Return the bytes of an image's files; Buildah itself reports only a rounded text."""
    container = engine.run("from", "--pull-never", tag).strip()
    try:
        root = Path(engine.run("mount", container).strip())
        files = (Path(top, name) for top, _, names in os.walk(root) for name in names)
        return sum(file.lstat().st_size for file in files)
    finally:
        engine.run("rm", container)
