"""What the helper process holds: the client, the entries, the local store, and the warnings for the user."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from mlnb.engine.files import make_folder, write_whole
from mlnb.engine.platforms import platform_name
from mlnb.engine.project import Project
from mlnb.engine.remote_link import remote_cache
from mlnb.machine import actor
from mlnb.remote.entries import Entries
from mlnb.remote.object_store import ObjectStore

SMALL_AT_ONCE = 24  # requests for small objects
LARGE_AT_ONCE = 8  # downloads and uploads, a few blocks of memory each
T = TypeVar("T")
R = TypeVar("R")


class RemoteSession:
    """The remote store of a project, as the helper process uses it.

    Attributes:
        platforms: This platform, then the others whose results are reused.
        damaged: Digests of objects that are missing or damaged in the remote store: the next push replaces them.
    """

    def __init__(self, project: Project) -> None:
        settings = project.settings
        self.project = project
        self.store = project.store
        self.store.remote = None  # what is missing in the local store is no reason for another helper process
        self.objects = ObjectStore(settings.remote, settings.remote_timeout)
        self.entries = Entries(project)
        self.cache = remote_cache(project.store_root, settings.remote)
        self.platforms = tuple(dict.fromkeys((platform_name(), *settings.remote_platforms)))
        self.person = actor()
        self.damaged: set[str] = set()
        self._small = ThreadPoolExecutor(SMALL_AT_ONCE)
        self._large = ThreadPoolExecutor(LARGE_AT_ONCE)
        self._warnings: list[str] = []
        self._lock = threading.Lock()

    @property
    def platform(self) -> str:
        """This platform."""
        return self.platforms[0]

    def read_all(self, names: Iterable[str]) -> list[bytes | None]:
        """Return the bytes of small objects, requested at once; None for those that are missing."""
        return self._gather(self._small, self.objects.read, names)

    def transfer_all(self, transfer: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Return what a download or upload returns for each item; a few are in progress at once."""
        return self._gather(self._large, transfer, items)

    def _gather(self, pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        futures = [pool.submit(function, item) for item in items]
        return [future.result() for future in futures]

    def warn(self, text: str) -> None:
        """Add a sentence for the user."""
        with self._lock:
            self._warnings.append(text)

    def take_warnings(self) -> tuple[str, ...]:
        """Return the sentences since the last call."""
        with self._lock:
            taken, self._warnings = tuple(dict.fromkeys(self._warnings)), []
        return taken

    def remember(self, path: Path, data: bytes) -> None:
        """Write a file about the remote store; an error is ignored, as it only saves requests."""
        with suppress(OSError):
            make_folder(path.parent)
            write_whole(path, data, 0o600)
