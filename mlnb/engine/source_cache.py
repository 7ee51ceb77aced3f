"""Values derived from source files: those of a project in its store, those of mlnb itself once for each user.

Every project imports mlnb's modules; without the second cache the first plan of each project would digest them again.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import mlnb
from mlnb.engine import digests
from mlnb.engine.digests import StatCache
from mlnb.machine import cache_folder

PACKAGE = f"{Path(mlnb.__file__).parent}{os.sep}"
HERE = Path(digests.__file__).parent
DERIVING = (HERE / "digests.py", HERE / "notebook.py", HERE / "code_sources.py")  # what derives the values
VALID = "valid"  # value of these files, while the values are what they derive


class SourceCache(StatCache):
    """The cache of a project's own files, in front of the one of mlnb's files.

    Args:
        path: of the project's cache.
        shared: path of the cache of mlnb's files; None: they are in the project's cache, too.
    """

    def __init__(self, path: Path, shared: Path | None) -> None:
        super().__init__(path)
        self.shared = StatCache(shared) if shared is not None else None
        if self.shared is not None and any(self.shared.get(file) != VALID for file in DERIVING):
            self.shared.forget(PACKAGE)
            for file in DERIVING:
                self.shared.put(file, VALID)

    def get(self, path: Path) -> Any | None:
        """Return the cached value of `path`; None when there is none or the file has changed since."""
        if self.shared is not None and _is_ours(path):
            return self.shared.get(path)
        return super().get(path)

    def put(self, path: Path, value: Any) -> None:
        """Cache `value` for `path` as it is now."""
        if self.shared is not None and _is_ours(path):
            self.shared.put(path, value)
        else:
            super().put(path, value)

    def save(self, prune: bool = False) -> None:
        """Write the files with new entries; an error is ignored, as the cache only saves time."""
        super().save(prune)
        if self.shared is not None:
            self.shared.save(prune=True)  # of installations that were deleted


def shared_cache_path(name: str = "sources") -> Path | None:
    """Return a file of this user's cache for this version of Python; None where this user cannot write one."""
    with suppress(RuntimeError, OSError):  # no home folder, or one that cannot be written
        folder = cache_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder / f"{name}-{sys.implementation.cache_tag}.json"
    return None


def _is_ours(path: Path) -> bool:
    return str(path).startswith(PACKAGE)
