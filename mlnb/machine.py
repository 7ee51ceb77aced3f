"""What this process may use of the machine: cores, and the folders of its user."""

import getpass
import os
from pathlib import Path

from mlnb.settings import ProcessSettings


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cache_folder() -> Path:
    """Return mlnb's folder in this user's cache. Raises `RuntimeError` for a user without a home folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mlnb"


def config_folder() -> Path:
    """Return mlnb's folder in this user's configuration. Raises `RuntimeError` for a user without a home folder."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mlnb"


def user_name() -> str:
    """Return the name of this machine's user; "unknown" where it has none, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def actor() -> str:
    """Return who acts, for records that others read: MLNB_ACTOR, which CI sets, or the user of this machine."""
    return ProcessSettings().actor or user_name()
