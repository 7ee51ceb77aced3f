"""New SQLite storages of searches in this process as copies of an empty one.

Optuna takes 0.1 s of processor time to make the tables of one, three times as long as to open it, and most tests that
run a pipeline make one.
"""

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

MODULE = "mlnb.methods.tuning.studies"  # not imported here: it takes a second, and most files need no search


def copy_new_storages(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let searches copy their storage, if something has imported them.

    Args:
        patch: Undoes it.
        folder: An empty folder, on the disk of the storages.
    """
    studies = sys.modules.get(MODULE)
    if studies is not None:
        patch.setattr(studies, "leased_storage", copying(studies.leased_storage, folder))


def copying(open_storage: Callable[[str], Any], folder: Path) -> Callable[[str], Any]:
    """Return a function that opens a storage, and first copies an empty one where there is none.

    Args:
        open_storage: `leased_storage`.
        folder: Of the empty one.
    """

    def copy_or_open(url: str) -> Any:
        path = Path(url.removeprefix("sqlite:///"))
        if url.startswith("sqlite:///") and path.parent.is_dir() and not path.exists():
            empty = folder / "empty.db"
            if not empty.exists():
                created = open_storage(f"sqlite:///{folder}/new.db")
                created.remove_session()
                created.engine.dispose()
                (folder / "new.db").replace(empty)
            part = folder / f"{os.urandom(8).hex()}.db"
            shutil.copyfile(empty, part)
            with suppress(OSError):  # another thread was first, or it cannot be written
                os.link(part, path)
            part.unlink()
        return open_storage(url)

    return copy_or_open
