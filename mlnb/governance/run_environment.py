"""The environment of a run: packages with the digests of their wheels, processor, BLAS, and limits of threads."""

import csv
import importlib.util
import os
import platform
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from mlnb.codec import Record
from mlnb.engine.digests import StatCache, digest_bytes, digest_value
from mlnb.engine.project import Project
from mlnb.engine.source_cache import shared_cache_path
from mlnb.machine import usable_cores

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_DYNAMIC")
INFO = ".dist-info"
CACHE = "packages-1"  # name of the cache; the number rises with a change of what is in it
INSTALLED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_build.json", "uv_cache.json")  # by installers


class Package(Record, frozen=True, kw_only=True):
    """An installed package.

    Args:
        version: Its version.
        record: SHA-256 of its RECORD, which has the digest of each installed file; None where it has none.
        contents: Digest of what its RECORD states about the files of its wheel, which is the same in every environment;
            None where it has no RECORD or is installed in editable mode.
    """

    version: str
    record: str | None
    contents: str | None = None


class InstalledFile(Record, frozen=True, kw_only=True):
    """A file of a wheel: its path as in RECORD, and its digest as `sha256=`, Base64 for URLs and without padding."""

    path: str
    digest: str


class RunEnvironment(Record, frozen=True, kw_only=True):
    """Where a run was executed.

    Args:
        python: Version of Python.
        implementation: CPython or another one.
        system: Operating system and C library.
        machine: Architecture.
        processor: Model of the processor.
        cores: Number of cores that this process may use.
        blas: Name and version of the BLAS that numpy was built with.
        threads: Environment variables that limit threads.
        packages: Installed packages by name.
    """

    python: str
    implementation: str
    system: str
    machine: str
    processor: str
    cores: int
    blas: str
    threads: dict[str, str]
    packages: dict[str, Package]


def package_cache(project: Project) -> StatCache:
    """Return the digests of installed packages: this user's, as projects share them, or else the project's."""
    return StatCache(shared_cache_path(CACHE) or project.store_root / "cache" / f"{CACHE}.json")


def describe_environment(cache: StatCache) -> RunEnvironment:
    """Return the environment of this process; digests come from the cache when their files have not changed.

    Args:
        cache: From `package_cache`; what is new is saved.
    """
    environment = RunEnvironment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        system=f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".rstrip(", "),
        machine=platform.machine(),
        processor=_processor(),
        cores=usable_cores(),
        blas=_blas(cache),
        threads={name: os.environ[name] for name in THREADS if name in os.environ},
        packages=installed_packages(sys.path, cache),
    )
    cache.save(prune=True)  # of environments that were deleted
    return environment


def installed_packages(folders: Iterable[str], cache: StatCache) -> dict[str, Package]:
    """Return the packages on a path, the first of a name; read from the names of folders, as metadata is slow."""
    packages: dict[str, Package] = {}
    for folder in folders:
        with suppress(OSError):
            for entry in sorted(os.listdir(folder or ".")):
                name, _, version = entry.removesuffix(INFO).rpartition("-")
                if entry.endswith(INFO) and name not in packages:
                    record, contents = _digests(cache, Path(folder, entry, "RECORD"))
                    packages[name] = Package(version=version, record=record, contents=contents)
    return dict(sorted(packages.items()))


def wheel_files(record: str) -> Iterator[InstalledFile]:
    """Yield the files of a wheel that its RECORD names.

    Scripts, compiled modules and the notes of the installer are left out: they differ between environments.

    Args:
        record: Text of the RECORD.
    """
    rows = record.splitlines()
    for line in csv.reader(rows) if '"' in record else (row.split(",") for row in rows):
        path, digest = (*line, "", "")[:2]
        outside = path.startswith("..")
        inside = path.replace("../", "").partition("/")[0]
        if not digest or path.endswith(".pyc") or (outside and inside in ("bin", "Scripts")):
            continue
        if not (path.partition("/")[0].endswith(INFO) and path.rpartition("/")[2] in INSTALLED):
            yield InstalledFile(path=path, digest=digest)


def contents_digest(record: str) -> str:
    """Return the digest of the names and digests of a wheel's files, from the text of its RECORD."""
    return digest_value(sorted([file.path, file.digest] for file in wheel_files(record)))


def _digests(cache: StatCache, path: Path) -> tuple[str | None, str | None]:
    """Return the digests of a RECORD and of the contents that it states; None where there is none."""
    try:
        cached = cache.get(path)
        if isinstance(cached, list) and len(cached) == 2:
            return cached[0], cached[1]
        data = path.read_bytes()
        editable = b'"editable"' in _read(path.with_name("direct_url.json"))
        digests = [digest_bytes(data), None if editable else contents_digest(data.decode())]
        cache.put(path, digests)
    except (OSError, UnicodeDecodeError, csv.Error):
        return None, None
    return digests[0], digests[1]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _blas(cache: StatCache) -> str:
    """Return the BLAS of numpy, from the file that its build wrote."""
    try:
        spec = importlib.util.find_spec("numpy")
        path = Path(str(spec.origin)).with_name("__config__.py") if spec else Path()
        if isinstance(cached := cache.get(path), str):
            return cached
        build = importlib.import_module("numpy.__config__").CONFIG["Build Dependencies"]["blas"]
        blas = f"{build.get('name', '')} {build.get('version', '')}".strip()
        cache.put(path, blas)
    except (ImportError, AttributeError, KeyError, OSError, ValueError):
        return ""
    return blas
