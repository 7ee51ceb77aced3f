"""Looks at sealed artifacts: each is counted before it is taken, durably, whatever else runs at the same time."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlnb.engine.files import full_disk_explained

SEALED = "sealed"  # how the description of a sealed artifact begins


def is_sealed(output: Mapping[str, Any]) -> bool:
    """Return whether an artifact's record says that it is sealed."""
    return str(output.get("description", "")).lower().startswith(SEALED)


def by_hand() -> str:
    """Return a name for a look taken by hand: every such look is one of its own."""
    return f"hand-{time.time_ns():x}-{os.getpid():x}"


def look(root: Path, digest: str, who: str) -> int:
    """Note that `who` opens the object of that digest; return how many have opened it by now.

    One file a look, made by the operating system in one step: two processes never count for one, a run that
    is tried again never counts twice, and a look that was taken is noted even when the process dies after it.
    """
    folder = root / "looks" / digest
    with full_disk_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / who, os.O_CREAT | os.O_WRONLY, 0o644)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return count_looks(root, digest)


def count_looks(root: Path, digest: str) -> int:
    """Return how many runs and sessions by hand have opened the object of that digest."""
    try:
        return len(os.listdir(root / "looks" / digest))
    except FileNotFoundError:
        return 0
