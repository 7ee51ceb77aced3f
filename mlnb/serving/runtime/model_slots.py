"""A model of a service of several, with its canary and shadow, and the memory that they take."""

import ctypes
import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.model_catalog import CANARY, SHADOW, ServedModel

FILE_FACTOR = 3.0  # memory of a loaded model by the bytes of its files, before it was measured
MODEL = "model"  # role of the model itself


@dataclass
class ModelSlot:
    """A model of the service, loaded or not.

    Attributes:
        model: from the catalog.
        root: folder of the catalog.
        working: the last folder whose model passed its checks; it is used while the one in `folder` does not.
        endpoint: None: it is not loaded.
        sizes: bytes of memory that model, canary and shadow took when they were loaded last.
        withdrawn: version of the canary that failed or was too slow, while the model is not loaded.
        used: when it got its last request, in seconds of `monotonic`.
        failure: why it cannot be loaded, for clients; empty: nothing is known to be wrong.
        failed: when that was, in seconds of `monotonic`.
        lock: held while it is loaded, replaced or unloaded.
    """

    model: ServedModel
    root: Path
    working: Path | None = None
    endpoint: Endpoint | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    withdrawn: str = ""
    used: float = 0.0
    failure: str = ""
    failed: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def state(self) -> str:
        """`loaded`, `failed`, or `not loaded`."""
        return "loaded" if self.endpoint is not None else "failed" if self.failure else "not loaded"

    @property
    def folder(self) -> Path:
        """The folder that the model is loaded from."""
        return self.root / self.model.folder

    @property
    def pointers(self) -> dict[str, Path | None]:
        """The folders of canary and shadow; None: it has none."""
        named = {CANARY: self.model.canary, SHADOW: self.model.shadow}
        return {role: self.root / name if name else None for role, name in named.items()}

    @property
    def size(self) -> int:
        """Bytes of memory that it takes with canary and shadow; 0: it was not loaded yet."""
        return sum(self.sizes.values())

    def expected_size(self) -> int:
        """Return the bytes of memory that it takes once it is loaded, by its files where it was not measured."""
        folders = {MODEL: self.folder, **self.pointers}
        return sum(
            self.sizes.get(role) or int(FILE_FACTOR * file_bytes(folder))
            for role, folder in folders.items()
            if folder is not None
        )

    def measure(self, role: str, folder: Path | None, before: int) -> None:
        """Keep the memory of a model that has just been loaded: what the process took, at least that of its files.

        Args:
            role: model, canary or shadow.
            folder: of the model; None: there is none in that role.
            before: resident bytes before it was loaded.
        """
        if folder is None:
            self.sizes.pop(role, None)
        else:
            self.sizes[role] = max(self.sizes.get(role, 0), resident_bytes() - before, file_bytes(folder))


def file_bytes(folder: Path) -> int:
    """Return the bytes of the files of a model; 0 for one that is missing."""
    inside = folder / "model"
    files = (inside if inside.is_dir() else folder).rglob("*")
    return sum(path.stat().st_size for path in files if path.is_file())


def resident_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not show it."""
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def return_memory() -> None:
    """Return freed memory to the system, where the C library keeps it."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no such function, and keeps less
            ctypes.CDLL(None).malloc_trim(0)
