"""The libraries that a service needs, pinned to the versions that it was proven with."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlnb.errors import MissingExtra

BASE = ("bentoml", "httptools", "numpy", "uvloop")  # the server, and enough for models that are numbers in JSON
BY_FILE = {"model.txt": "lightgbm", "model.pkl": "scikit-learn"}  # what reads each file of a model's folder
SYSTEM = {"lightgbm": ("libgomp1",)}  # Debian packages beside Python's: LightGBM's wheel brings no OpenMP


def libraries(model: Path) -> tuple[str, ...]:
    """Return the names of the libraries that a service imports for the model in a folder."""
    return (*BASE, *(library for name, library in BY_FILE.items() if (model / name).is_file()))


def system_packages(names: Iterable[str]) -> list[str]:
    """Return the names of the system's packages that the libraries need in an image."""
    return sorted({package for name in names for package in SYSTEM.get(name, ())})


def pin(names: Iterable[str]) -> str:
    """Return the text of a requirements.txt: libraries, then what they need, at the versions installed here.

    Raises `MissingExtra` when one of `names` is not installed.
    """
    direct = [_pinned(name) for name in sorted(names)]
    needed = sorted(set(_closure(names)) - {canonicalize_name(name) for name in names})
    lines = ["# what the service imports", *direct, "# what these need", *(_pinned(name) for name in needed)]
    return "\n".join(lines) + "\n"


def _pinned(name: str) -> str:
    try:
        return f"{canonicalize_name(name)}=={distribution(name).version}"
    except PackageNotFoundError:
        raise MissingExtra(f"{name} is not installed, and the service needs it: pip install {name}") from None


def _closure(names: Iterable[str]) -> set[str]:
    """Return the canonical names of the libraries and of all that they require here, extras included."""
    waiting = [(canonicalize_name(name), "") for name in names]
    seen, installed = set(waiting), set[str]()
    while waiting:
        name, extra = waiting.pop()
        try:
            required = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        installed.add(name)
        for text in required:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            for wanted in ("", *requirement.extras):
                item = (canonicalize_name(requirement.name), wanted)
                if item not in seen:
                    seen.add(item)
                    waiting.append(item)
    return installed
