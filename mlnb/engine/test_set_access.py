"""Access to held-out artifacts: every access is recorded before the artifact is loaded."""

import os
import time
from pathlib import Path

from mlnb.engine.files import PRIVATE, full_disk_explained, make_folder

HELD_OUT = "held-out"  # first word of the description of a held-out artifact


def is_held_out(description: str) -> bool:
    """Return whether the description of an artifact marks it as held out."""
    return description.lower().startswith(HELD_OUT)


def interactive_reader() -> str:
    """Return a name for the reader in an interactive session: each session is a different reader."""
    return f"interactive-{time.time_ns():x}-{os.getpid():x}"


def record_access(root: Path, digest: str, reader: str) -> int:
    """Record that a reader loads a held-out artifact; return the number of readers so far.

    Each access is one file, created atomically by the operating system: concurrent processes are counted separately,
    a run that is retried counts once, and an access is recorded even when the process dies after it.

    Args:
        root: Folder of the store.
        digest: Digest of the artifact.
        reader: Id of the run, or a name from `interactive_reader`.
    """
    folder = root / "test_set_accesses" / digest
    with full_disk_explained(folder):
        make_folder(folder)
        descriptor = os.open(folder / reader, os.O_CREAT | os.O_WRONLY, PRIVATE)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return count_accesses(root, digest)


def count_accesses(root: Path, digest: str) -> int:
    """Return the number of runs and interactive sessions that have loaded the artifact with that digest."""
    try:
        return len(os.listdir(root / "test_set_accesses" / digest))
    except FileNotFoundError:
        return 0
