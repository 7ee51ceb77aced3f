"""New SQLite storages of searches in this process as copies of an empty one.

Optuna takes 0.1 s of processor time to make the tables of one, three times as long as to open it, and most tests that
run a pipeline make one.
"""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest

MODULE = "mlnb.methods.tuning.hyperparameter_search"  # imported elsewhere: it takes a second, and few files need it


def copy_new_storages(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let searches copy their storage, if something has imported them.

    Args:
        patch: Undoes it.
        folder: An empty folder, on the disk of the storages.
    """
    search = sys.modules.get(MODULE)
    if search is not None:
        patch.setattr(search, "open_storage", copying(search.open_storage, folder))


def copying(
    open_storage: Callable[[str | None], AbstractContextManager[Any]], folder: Path
) -> Callable[[str | None], AbstractContextManager[Any]]:
    """Return a function that opens a storage, and first copies an empty one where there is none.

    Args:
        open_storage: Of `mlnb.methods.tuning.studies`.
        folder: Of the empty one.
    """

    def copy_or_open(url: str | None) -> AbstractContextManager[Any]:
        path = Path((url or "").removeprefix("sqlite:///"))
        if url is not None and url.startswith("sqlite:///") and path.parent.is_dir() and not path.exists():
            empty = folder / "empty.db"
            if not empty.exists():
                with open_storage(f"sqlite:///{folder}/new.db"):
                    pass
                (folder / "new.db").replace(empty)
            part = folder / f"{os.urandom(8).hex()}.db"
            shutil.copyfile(empty, part)
            with suppress(OSError):  # another thread was first, or it cannot be written
                os.link(part, path)
            part.unlink()
        return open_storage(url)

    return copy_or_open
