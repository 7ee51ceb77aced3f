"""Versions of installed libraries, without reading all that is installed: planning a run needs forty of them."""

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib import metadata

DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML", "dateutil": "python-dateutil"}


def installed_version(library: str) -> str:
    """Return the installed version of an importable library; "none" when it is not installed."""
    from importlib import metadata

    try:
        return _version_of(metadata.distribution(DISTRIBUTIONS.get(library, library)))
    except metadata.PackageNotFoundError:
        distribution = _distribution_with(library)
        return _version_of(distribution) if distribution is not None else "none"


def _distribution_with(library: str) -> "metadata.Distribution | None":
    """Return the distribution that installs an importable library of another name; None without one.

    `metadata.packages_distributions` parses the paths of all installed files, which takes twenty times as long.
    """
    from importlib import metadata

    record = re.compile(rf"^{re.escape(library)}(?:/|\.py,|\.[\w.-]+\.(?:so|pyd),)", re.MULTILINE)
    for distribution in metadata.distributions():
        top_level = distribution.read_text("top_level.txt")
        if library in top_level.split() if top_level else record.search(distribution.read_text("RECORD") or ""):
            return distribution
    return None


def _version_of(distribution: "metadata.Distribution") -> str:
    """Return the version in the head of the metadata; parsing all of them takes ten times as long."""
    head, _, _ = (distribution.read_text("METADATA") or "").partition("\n\n")
    version = re.search(r"^Version: (\S+)$", head, re.MULTILINE)
    return version[1] if version else distribution.version


def python_version() -> str:
    """Return the minor version of Python, such as 3.11: part of every stage key."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
