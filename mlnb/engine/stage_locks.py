"""Locks of stage keys: among the processes of a machine by a file, among machines by a lease in the shared database.

The lease is named by where results are shared: the remote store that this machine writes to, or else the folder of the
store, which several machines may mount. Machines that share no results do not wait for each other.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.plan import Planner
from mlnb.engine.platforms import platform_name

POLL = 0.05  # seconds between two attempts to lock a stage key
SHARED_POLL = 0.5  # the same while another machine has it
STORAGE = "storage"  # parameter of stages with the URL of a database by which several machines share the work


class StageLock(NamedTuple):
    """An attempt to lock a stage key.

    Args:
        held: Whether this process has the lock.
        shared: Whether it is that of all machines.
        wait: Seconds until the next attempt.
        holder: The machine that has it; empty: this one, or not known.
    """

    held: bool
    shared: bool = False
    wait: float = POLL
    holder: str = ""


class StageLocks:
    """The locks of one plan; used by several threads."""

    def __init__(self, planner: Planner, dispatched: bool) -> None:
        """Lock nothing yet.

        Args:
            planner: The plan.
            dispatched: Whether another machine has ordered the stages, and holds their leases.
        """
        self._planner = planner
        self._store = planner.project.store
        self._database = None if dispatched else planner.project.database

    @contextmanager
    def hold(self, stage: str, key: str) -> Iterator[StageLock]:
        """Hold the lock of a stage key inside the block, if no other process holds it.

        The lease ends when what was shared inside the block is pushed, so that the next holder finds the result.

        Args:
            stage: Name of the stage.
            key: Its key.
        """
        with self._store.lock(key) as held:
            if not held or self._database is None or shares_work(self._planner, stage):
                yield StageLock(held)
                return
            name = f"stage/{self._scope()}/{key}"
            taken = self._database.take(name)
            if taken is None:
                yield StageLock(True)
            elif not taken:
                holder = self._database.living(name).get(name, "")
                yield StageLock(False, wait=SHARED_POLL, holder=holder.partition(":")[0])
            else:
                try:
                    yield StageLock(True, shared=True)
                finally:
                    self._release(name, key)

    def _release(self, name: str, key: str) -> None:
        """Give a lease back: at once, or when the result is pushed, for which nothing waits here."""
        database, remote = self._database, self._store.remote
        assert database is not None
        if remote is None or not remote.writable or remote.down or self._store.result(key) is None:
            database.release(name)
            return

        def release() -> None:
            remote.wait()
            database.release(name)

        threading.Thread(target=release, name="release of a lock", daemon=True).start()  # Ctrl-C does not wait for it

    def _scope(self) -> str:
        """Return what names the results that the machines share."""
        remote = self._store.remote
        if remote is not None and remote.writable and not remote.down:
            return digest_bytes(f"{remote.url} {platform_name()}".encode())[:16]  # no result of another one is used
        path = self._store.root / "store-id"
        if not path.exists():
            write_whole(path, secrets.token_hex(8).encode(), PRIVATE)
        return path.read_text()


def shares_work(planner: Planner, stage: str) -> bool:
    """Return whether several machines run a stage at once, as a database server shares its work among them."""
    storage = planner.values[stage].get(STORAGE)
    url = str(storage.value) if storage is not None else ""
    return "://" in url and not url.startswith(("sqlite", "journal"))
