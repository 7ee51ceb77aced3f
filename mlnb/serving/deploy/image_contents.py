"""The contents of an image, as the image reports them: Python distributions and Debian packages."""

import json
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlnb.codec import Record, convert, replace
from mlnb.errors import ServingError
from mlnb.serving.deploy.container_engines import Engine

PROBE = Path(__file__).with_name("image_probe.py")  # runs inside the image


class ImagePackage(Record, frozen=True, kw_only=True):
    """A Python distribution or Debian package of an image.

    Args:
        name: of the package.
        version: of the package.
        kind: pypi or deb.
        license: SPDX expression or the package's text; may be empty.
        needs: names of the packages of its kind that it requires.
    """

    name: str
    version: str
    kind: str
    license: str
    needs: tuple[str, ...] = ()


class ImageContents(Record, frozen=True, kw_only=True):
    """All packages of an image.

    Args:
        python: version of the interpreter.
        system: such as "debian 12".
        packages: sorted by kind and name.
    """

    python: str
    system: str
    packages: tuple[ImagePackage, ...]


def probe_image(engine: Engine, image: str) -> ImageContents:
    """Return the contents of an image. Raises `ServingError` when it cannot run."""
    source = PROBE.read_text("utf-8")
    if engine.name == "buildah":
        container = engine.run("from", "--pull-never", image).strip()
        try:
            output = engine.run("run", "--network", "none", container, "--", "python", "-P", "-c", source)
        finally:
            engine.run("rm", container)
    else:
        limits = ("--network", "none", "--read-only", "--cap-drop", "all")
        output = engine.run("run", "--rm", *limits, "--entrypoint", "python", image, "-P", "-c", source)
    contents = convert(json.loads(output.splitlines()[-1]), ImageContents, f"the contents of {image}")
    return replace(contents, packages=tuple(sorted(contents.packages, key=lambda p: (p.kind, p.name))))


def check_pins(contents: ImageContents, requirements: str) -> None:
    """Check that the image has the pinned versions of a requirements.txt, and no other distributions.

    Raises:
        ServingError: it has others, or lacks some.
    """
    lines = [line for line in requirements.splitlines() if line and not line.startswith("#")]
    pinned: dict[str, str] = {
        canonicalize_name(r.name): next(iter(r.specifier)).version for r in map(Requirement, lines)
    }
    installed = {package.name: package.version for package in contents.packages if package.kind == "pypi"}
    wrong = [
        f"{name} {installed.get(name, 'absent')}, expected {pinned.get(name, 'none')}"
        for name in sorted(pinned.keys() | installed.keys())
        if pinned.get(name) != installed.get(name)
    ]
    if wrong:
        raise ServingError(f"The image differs from the versions that the model was verified with: {'; '.join(wrong)}.")
