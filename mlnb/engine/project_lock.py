"""The lock of a project: runs share it; an erasure holds it alone, and leaves a journal when it is killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlnb.engine.files import try_lock
from mlnb.engine.project import Project
from mlnb.errors import ProjectError

JOURNAL = "journal.json"


def journal_folder(project: Project) -> Path:
    """Return the folder of the erasures that have begun and not ended, each with a journal."""
    return project.store_root / "erasing"


def pending_journals(project: Project) -> list[Path]:
    """Return the journals of erasures that were interrupted."""
    return sorted(journal_folder(project).glob(f"*/{JOURNAL}"))


@contextmanager
def use_project(project: Project) -> Iterator[None]:
    """Let no erasure begin inside of the block. Raises `ProjectError` when one goes on, or was interrupted."""
    with try_lock(_path(project), share=True) as held:
        if not held:
            raise ProjectError("Rows are being erased from this project; wait until `mlnb erase` has ended.")
        if pending_journals(project):
            raise ProjectError("An erasure was interrupted; `mlnb erase --resume` finishes it, then run again.")
        yield


@contextmanager
def lock_project(project: Project) -> Iterator[None]:
    """Let no run begin inside of the block. Raises `ProjectError` when one goes on, or another erasure."""
    with try_lock(_path(project)) as held:
        if not held:
            raise ProjectError(
                "A run or another erasure uses this project; nothing was changed. Wait until it has ended."
            )
        yield


def _path(project: Project) -> Path:
    return project.store_root / "locks" / "project"
