"""A bento becomes an image."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlnb.errors import ServingError
from mlnb.serving.deploy.container_engines import Engine
from mlnb.serving.packaging.bento_stores import Built, last_lines, quiet_environment
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.library_requirements import imported, system_packages

IMAGER = Path(__file__).with_name("image_builder.py")
USER = 1034  # as BentoML's own; Kubernetes can check that a number is not root, never a name


@dataclass(frozen=True)
class Image:
    """An image that was built.

    Attributes:
        id: digest of its configuration.
        bytes: unpacked, all layers.
        user: as its configuration says: user:group.
        base: the image it stands on.
        model: tag of the model inside.
    """

    tag: str
    id: str
    bytes: int
    user: str
    base: str
    model: str


def default_base() -> str:
    """Return the base image for the Python that the model was trained with."""
    return f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def build_image(engine: Engine, bundle: Bundle, built: Built, tag: str, base: str, options: Mapping[str, Any]) -> Image:
    """Return the image built from a bento; raises `ServingError` with the end of what the engine said.

    Args:
        built: its bento.
        options: further options of the engine's build, as {"network": "host"}.
    """
    with tempfile.TemporaryDirectory(prefix="mlnb-image-") as folder:
        home = Path(folder)
        shutil.copytree(built.path, home / "bentos" / bundle.name / bundle.version)
        (home / "bentos" / bundle.name / "latest").write_text(bundle.version)
        for part in ("models", "tmp"):
            (home / part).mkdir()
        environment = quiet_environment() | {"BENTOML_HOME": folder, "DOCKER_BUILDKIT": "0"}
        kept = sorted(imported((bundle.folder / "requirements.txt").read_text("utf-8")))
        asked = json.dumps({**options, "system": system_packages(kept), "kept": kept, "user": USER})
        done = subprocess.run(
            [sys.executable, "-P", str(IMAGER), engine.name, tag, base, asked],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode:
        raise ServingError(
            f"{engine.name} could not build {tag} on {base}:\n{last_lines(done.stdout + done.stderr)}\n"
            "Another base image: --base; further options of the engine, for a proxy or a mirror: --opt."
        )
    return inspect_image(engine, tag, base, bundle.model_tag)


def inspect_image(engine: Engine, tag: str, base: str, model: str) -> Image:
    """Return what the engine says of an image; raises `ServingError` unless it runs as a number that is not 0."""
    if engine.name == "buildah":
        said = json.loads(engine.run("inspect", "--type", "image", tag))
        user, identity = said["OCIv1"]["config"].get("User", ""), said["FromImageID"]
        size = _buildah_bytes(engine, tag)
    else:
        said = json.loads(engine.run("image", "inspect", tag))[0]
        user, identity, size = said["Config"].get("User", ""), said["Id"], said["Size"]
    if not user.partition(":")[0].isdecimal() or int(user.partition(":")[0]) == 0:
        raise ServingError(f"{tag} runs as user {user or 'root'!r}, expected a number other than 0.")
    return Image(tag, identity.removeprefix("sha256:"), int(size), user, base, model)


def _buildah_bytes(engine: Engine, tag: str) -> int:
    """Return the bytes of an image's files; Buildah itself says only a rounded text."""
    container = engine.run("from", "--pull-never", tag).strip()
    try:
        place = Path(engine.run("mount", container).strip())
        files = (Path(top, name) for top, _, names in os.walk(place) for name in names)
        return sum(file.lstat().st_size for file in files)
    finally:
        engine.run("rm", container)
