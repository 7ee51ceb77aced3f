"""The libraries that a service needs, pinned to the versions that it was proven with."""

import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlnb.errors import MissingExtra, UsageError

RUNTIME = ("msgspec", "numpy")  # of the request path: enough for models that are numbers in JSON
SERVER = ("bentoml", "httptools", "uvloop")  # of a service over HTTP
BASE = tuple(sorted((*RUNTIME, *SERVER)))
BY_FILE = {"model.txt": "lightgbm", "model.pkl": "scikit-learn"}  # what reads each file of a model's folder
SYSTEM = {"lightgbm": ("libgomp1",)}  # Debian packages beside Python's: LightGBM's wheel brings no OpenMP
STORAGE = {"s3": ("s3fs",), "s3a": ("s3fs",), "gs": ("gcsfs",), "gcs": ("gcsfs",), "az": ("adlfs",), "abfs": ("adlfs",)}
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # of a distribution, as PEP 508 has it
IMPORTED, NEEDED = "# what the service imports", "# what these need"


def libraries(model: Path, further: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the libraries that a service imports for the model in a folder, an ensemble's members too.

    Raises `UsageError` when one of `further`, which a project asks for beside them, is more than a name.
    """
    files = {path.name for path in model.rglob("model.*")}
    asked = [*BASE, *(library for name, library in BY_FILE.items() if name in files)]
    for text in further:
        if not NAME.fullmatch(text):
            raise UsageError(f"Found library {text!r}, expected a name alone: the version is the one installed here.")
        asked.append(canonicalize_name(text))
    return tuple(dict.fromkeys(asked))


def imported(requirements: str) -> dict[str, str]:
    """Return the versions by name of the libraries that a requirements.txt of `pin` says the service imports."""
    lines = requirements.partition(NEEDED)[0].splitlines()
    return {name: version for name, sign, version in (line.partition("==") for line in lines) if sign}


def is_remote(url: str) -> bool:
    """Return whether a URL, as fsspec writes it, names a place that every machine can reach."""
    return "://" in url and url.partition("://")[0] not in ("file", "local", "memory")


def check_shipping(requirements: str, url: str) -> None:
    """Raise `UsageError` when a service with these requirements could not ship its log to `url`; empty: nowhere."""
    needed = {"pyarrow", "fsspec", *STORAGE.get(url.partition("://")[0], ())} if url else set[str]()
    there = {line.partition("==")[0] for line in requirements.splitlines()}
    if missing := sorted(needed - there):
        asked = ", ".join(f'"{name}"' for name in sorted(needed))
        raise UsageError(
            f"The setting predictions names {url}, and the bento lacks {', '.join(missing)}: its log would stay in the "
            f"pod. Package it again: mlnb run -p package.libraries '[{asked}]'"
        )


def system_packages(names: Iterable[str]) -> list[str]:
    """Return the names of the system's packages that the libraries need in an image."""
    return sorted({package for name in names for package in SYSTEM.get(name, ())})


def pin(names: Iterable[str]) -> str:
    """Return the text of a requirements.txt: libraries, then what they need, at the versions installed here.

    Raises `MissingExtra` when one of `names` is not installed.
    """
    direct = [_pinned(name) for name in sorted(names)]
    needed = sorted(set(_closure(names)) - {canonicalize_name(name) for name in names})
    lines = [IMPORTED, *direct, NEEDED, *(_pinned(name) for name in needed)]
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
