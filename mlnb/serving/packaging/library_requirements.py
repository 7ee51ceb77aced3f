"""The libraries that a service needs, pinned to the versions that it was verified with."""

import json
import os
import re
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mlnb.errors import MissingExtra, UsageError
from mlnb.methods.models.custom_families import MODEL_FILE

RUNTIME = ("msgspec", "numpy")  # of the request path: enough for models that are numbers in JSON
SERVER = ("bentoml", "httptools", "uvloop")  # of a service over HTTP
BASE = tuple(sorted((*RUNTIME, *SERVER)))
BY_FILE = {"model.txt": "lightgbm", "model.pkl": "scikit-learn"}  # the library that reads each file of a model's folder
SYSTEM = {"lightgbm": ("libgomp1",)}  # Debian packages by library: LightGBM's wheel has no OpenMP
STORAGE = {"s3": ("s3fs",), "s3a": ("s3fs",), "gs": ("gcsfs",), "gcs": ("gcsfs",), "az": ("adlfs",), "abfs": ("adlfs",)}
NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")  # of a distribution (PEP 508)
HASHES = Path(__file__).with_name("library_hashes.txt")  # scripts/constraints.py writes it
IMPORTED, NEEDED = "# imported by the service", "# dependencies of these"


def required_libraries(model: Path, further: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the names of the libraries that a service imports.

    Args:
        model: folder of the fitted model; members of an ensemble are in folders below it.
        further: names that the project adds.

    Raises:
        UsageError: one of `further` is not just a name.
    """
    files = {path.name for path in model.rglob("model.*")}
    names = [*BASE, *(library for name, library in BY_FILE.items() if name in files)]
    for path in sorted(model.rglob(MODEL_FILE)):
        names += _custom_libraries(json.loads(path.with_name("model.json").read_bytes()))
    for text in further:
        if not NAME.fullmatch(text):
            raise UsageError(f"Found library {text!r}, expected a name alone: the version is the one installed here.")
        names.append(canonicalize_name(text))
    return tuple(dict.fromkeys(names))


def _custom_libraries(metadata: dict[str, Any]) -> list[str]:
    """Return the libraries of a custom model family, which the file model.json lists."""
    return [canonicalize_name(name) for name in metadata["native"]["custom"]["libraries"]]


def imported_versions(requirements: str) -> dict[str, str]:
    """Return the versions, by name, of the libraries that the service imports, from a requirements.txt of `pin`."""
    lines = requirements.partition(NEEDED)[0].splitlines()
    return {name: version for name, sign, version in (line.partition("==") for line in lines) if sign}


def is_remote(url: str) -> bool:
    """Return whether a URL of fsspec names storage that every machine can reach."""
    return "://" in url and url.partition("://")[0] not in ("file", "local", "memory")


def check_shipping(requirements: str, url: str) -> None:
    """Check that a service with these requirements can copy its prediction log to `url`; empty: nowhere.

    Raises:
        UsageError: libraries are missing in the bento.
    """
    needed = {"pyarrow", "fsspec", *STORAGE.get(url.partition("://")[0], ())} if url else set[str]()
    pinned = {line.partition("==")[0] for line in requirements.splitlines()}
    if missing := sorted(needed - pinned):
        names = ", ".join(f'"{name}"' for name in sorted(needed))
        raise UsageError(
            f"The setting predictions names {url}, and the bento has no {', '.join(missing)}: its log would stay in "
            f"the pod. Package it again: mlnb run -p package.libraries '[{names}]'"
        )


def system_packages(names: Iterable[str]) -> list[str]:
    """Return the names of the Debian packages that the libraries need in an image."""
    return sorted({package for name in names for package in SYSTEM.get(name, ())})


def pin(names: Iterable[str]) -> str:
    """Return the text of a requirements.txt: libraries, then their dependencies, at the versions installed here.

    Raises:
        MissingExtra: one of `names` is not installed.
    """
    installed = _installed(_site_stamps())
    direct = [installed.pinned(name) for name in sorted(names)]
    needed = sorted(installed.closure(names) - {canonicalize_name(name) for name in names})
    lines = [IMPORTED, *direct, NEEDED, *(installed.pinned(name) for name in needed)]
    return "\n".join(lines) + "\n"


def add_hashes(requirements: str) -> tuple[str, list[str]]:
    """Return a requirements.txt with the SHA-256 digests of the files of each library, which uv compares.

    Args:
        requirements: lines `name==version`.

    Returns:
        the text, and the libraries whose digests mlnb does not know at these versions.
    """
    digests_by_pin: dict[str, str] = {}
    for entry in re.split(r"\n(?! )", HASHES.read_text("utf-8").rstrip("\n")):
        pin, _, digests = entry.partition(" \\\n")
        digests_by_pin[pin.partition(" ;")[0]] = digests
    lines = requirements.splitlines()
    pins = [line for line in lines if "==" in line and not line.startswith("#")]
    hashed = [f"{line} \\\n{digests_by_pin[line]}" if line in digests_by_pin else line for line in lines]
    return "\n".join(hashed) + "\n", [pin for pin in pins if pin not in digests_by_pin]


def _site_stamps() -> tuple[tuple[str, int], ...]:
    """Return the folders that libraries are imported from, with their times: another one after an installation."""
    return tuple((folder, os.stat(folder).st_mtime_ns) for folder in sys.path if os.path.isdir(folder))


@lru_cache(maxsize=1)
def _installed(site_stamps: tuple[tuple[str, int], ...]) -> "_Installed":
    """Return what is installed, from folders that have not changed since."""
    return _Installed()


class _Installed:
    """The libraries that are installed here; each file of metadata is read once."""

    def __init__(self) -> None:
        self._metadata: dict[str, PackageMetadata | None] = {}

    def metadata(self, name: str) -> PackageMetadata | None:
        """Return the metadata of a library; None: it is not installed."""
        if name not in self._metadata:
            try:
                self._metadata[name] = metadata(name)
            except PackageNotFoundError:
                self._metadata[name] = None
        return self._metadata[name]

    def pinned(self, name: str) -> str:
        """Return a library with its version, as a line of a requirements.txt.

        Raises:
            MissingExtra: it is not installed.
        """
        if (stated := self.metadata(canonicalize_name(name))) is None:
            raise MissingExtra(f"{name} is not installed, and the service needs it: pip install {name}")
        return f"{canonicalize_name(name)}=={stated['Version']}"

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return the canonical names of the libraries and of all their dependencies here, extras included."""
        waiting = [(canonicalize_name(name), "") for name in names]
        seen, installed = set(waiting), set[str]()
        while waiting:
            name, extra = waiting.pop()
            if (stated := self.metadata(name)) is None:
                continue
            installed.add(name)
            for text in stated.get_all("Requires-Dist", []):
                requirement = Requirement(text)
                if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                    continue
                for wanted in ("", *requirement.extras):
                    item = (canonicalize_name(requirement.name), wanted)
                    if item not in seen:
                        seen.add(item)
                        waiting.append(item)
        return installed
