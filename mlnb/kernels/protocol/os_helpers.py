"""OS helpers: private files, process identity, child subreaper."""

import os
from pathlib import Path

OOM_SCORE = "500"  # of 1000: when memory runs out, the system kills the notebook before the parent and the driver
SET_CHILD_SUBREAPER = 36  # of linux/prctl.h


def write_whole(path: Path, data: bytes) -> None:
    """Write a file completely or not at all, readable by its owner alone; its folder exists."""
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.touch(0o600)
    partial.write_bytes(data)
    partial.replace(path)


def process_identity() -> str:
    """Return a name for this process that no other has, even with the same id later; `exec` keeps it."""
    stat = Path("/proc/self/stat").read_text()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}-{os.getpid()}-{stat.rpartition(')')[2].split()[19]}"


def has_children() -> bool:
    """Return whether this process has child processes."""
    return any(file.read_text() for file in Path("/proc/self/task").glob("*/children"))


def become_subreaper() -> None:
    """Adopt the orphaned descendants of this process, so that it can wait for them. Raises `OSError`."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
