"""The environment of a run: packages with the digests of their wheels, processor, BLAS, and limits of threads."""

import importlib
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from mlnb.codec import Record
from mlnb.engine.digests import StatCache
from mlnb.machine import usable_cores

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_DYNAMIC")
INFO = ".dist-info"


class Package(Record, frozen=True, kw_only=True):
    """An installed package.

    Args:
        version: Its version.
        record: SHA-256 of its RECORD, which has the digest of each installed file; None where it has none.
    """

    version: str
    record: str | None


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


def describe_environment(cache: StatCache) -> RunEnvironment:
    """Return the environment of this process; digests come from the cache when their files have not changed."""
    return RunEnvironment(
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        system=f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver())}".rstrip(", "),
        machine=platform.machine(),
        processor=_processor(),
        cores=usable_cores(),
        blas=_blas(),
        threads={name: os.environ[name] for name in THREADS if name in os.environ},
        packages=_packages(cache),
    )


def _packages(cache: StatCache) -> dict[str, Package]:
    """Return the packages on the path, the first of a name; read from the names of folders, as metadata is slow."""
    packages: dict[str, Package] = {}
    for folder in sys.path:
        with suppress(OSError):
            for entry in sorted(os.listdir(folder or ".")):
                name, _, version = entry.removesuffix(INFO).rpartition("-")
                if entry.endswith(INFO) and name not in packages:
                    packages[name] = Package(version=version, record=_digest(cache, Path(folder, entry, "RECORD")))
    return dict(sorted(packages.items()))


def _digest(cache: StatCache, path: Path) -> str | None:
    try:
        return cache.digest(path)
    except OSError:
        return None


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _blas() -> str:
    """Return the BLAS of numpy, from the file that its build wrote."""
    try:
        build = importlib.import_module("numpy.__config__").CONFIG["Build Dependencies"]["blas"]
    except (ImportError, AttributeError, KeyError):
        return ""
    return f"{build.get('name', '')} {build.get('version', '')}".strip()
