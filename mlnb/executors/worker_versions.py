"""What must be equal on all machines that run the stages of one plan: mlnb, Python, platform and libraries."""

import platform
from collections.abc import Mapping
from importlib import metadata

import mlnb
from mlnb.engine.platforms import platform_name

Versions = Mapping[str, str]  # version or name, by what it is of
CLUSTER = ("dask", "distributed")  # libraries by which the machines talk


def worker_versions() -> dict[str, str]:
    """Return the versions of mlnb, Python and the required libraries on this machine, and its platform.

    Optional libraries are not among them: a stage that imports one is refused where its version differs.
    """
    from packaging.requirements import Requirement

    required = [Requirement(text) for text in metadata.requires("mlnb") or []]
    names = sorted({one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})})
    own = {"mlnb": mlnb.__version__, "Python": platform.python_version(), "platform": platform_name()}
    return own | {name: _version(name) for name in (*names, *CLUSTER)}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def differences(own: Versions, other: Versions) -> str:
    """Return what differs, as "pandas 3.0.6 here, 3.0.5 there"; empty: nothing."""
    names = sorted(own.keys() | other.keys())
    pairs = [(name, own.get(name, "none"), other.get(name, "none")) for name in names]
    return "; ".join(f"{name} {here} here, {there} there" for name, here, there in pairs if here != there)
