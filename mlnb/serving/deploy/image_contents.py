"""What is in an image, as the image itself says: Python distributions and Debian packages."""

import json
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlnb.errors import ServingError
from mlnb.serving.deploy.container_engines import Engine

ASK = Path(__file__).with_name("image_probe.py")  # runs inside the image


@dataclass(frozen=True)
class Package:
    """One distribution or system package of an image.

    Attributes:
        kind: pypi or deb.
        licence: SPDX expression or the package's own words; maybe empty.
        needs: names of what it requires, of its own kind.
    """

    name: str
    version: str
    kind: str
    licence: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """All that an image was found to hold.

    Attributes:
        python: version of the interpreter.
        system: such as "debian 12".
        packages: sorted by kind and name.
    """

    python: str
    system: str
    packages: tuple[Package, ...]


def ask_image(engine: Engine, image: str) -> Contents:
    """Return the contents of an image; raises `ServingError` when it cannot be asked."""
    source = ASK.read_text("utf-8")
    if engine.name == "buildah":
        container = engine.run("from", "--pull-never", image).strip()
        try:
            said = engine.run("run", "--network", "none", container, "--", "python", "-P", "-c", source)
        finally:
            engine.run("rm", container)
    else:
        limits = ("--network", "none", "--read-only", "--cap-drop", "all")
        said = engine.run("run", "--rm", *limits, "--entrypoint", "python", image, "-P", "-c", source)
    facts = json.loads(said.splitlines()[-1])
    packages = [Package(**{**fields, "needs": tuple(fields["needs"])}) for fields in facts["packages"]]
    return Contents(facts["python"], facts["system"], tuple(sorted(packages, key=lambda p: (p.kind, p.name))))


def check_pins(contents: Contents, requirements: str) -> None:
    """Raise `ServingError` unless the image has the pinned versions of a requirements.txt, and nothing besides."""
    lines = [line for line in requirements.splitlines() if line and not line.startswith("#")]
    pinned: dict[str, str] = {
        canonicalize_name(r.name): next(iter(r.specifier)).version for r in map(Requirement, lines)
    }
    there = {package.name: package.version for package in contents.packages if package.kind == "pypi"}
    wrong = [
        f"{name} {there.get(name, 'absent')}, expected {pinned.get(name, 'none')}"
        for name in sorted(pinned.keys() | there.keys())
        if pinned.get(name) != there.get(name)
    ]
    if wrong:
        raise ServingError(f"The image differs from the versions that the model was proven with: {'; '.join(wrong)}.")
