"""The warm parent: imports libraries ahead, uses none of them, and forks a kernel for each notebook that asks.

    python -m mlnb.kernels.server.warm_parent FOLDER KEY LISTENER IDLE NEVER

It runs in one thread and never runs a notebook's code. When its interpreter, its packages or a file that it has
imported has changed, or an import must be undone, it starts itself anew under the same process id and socket.
"""

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from mlnb.kernels.protocol import os_helpers
from mlnb.kernels.protocol.parent_paths import Place
from mlnb.kernels.protocol.wire import pack, request, requested
from mlnb.kernels.server import forked_process
from mlnb.kernels.server.preloaded_libraries import Library
from mlnb.kernels.server.snapshot_shelf import Kept, Shelf
from mlnb.kernels.server.spare_kernel import Forked, Spare

PATIENCE = 5.0  # seconds that a request may take to arrive
REMEMBERED = 200  # ends of kernels, kept for drivers that ask
ROOM = 256 << 20  # bytes of memory that stay free when another kernel is let in


class Parent:
    """Serves one socket until it is told to stop or nobody has asked for long."""

    def __init__(self, place: Place, listener: socket.socket, idle: float, never: list[str]) -> None:
        self.place = place
        self.listener = listener
        self.idle = idle
        self.started = time.time()
        self.running: dict[int, str] = {}  # process id -> what runs there
        self.ends: dict[int, int] = {}  # process id -> wait status
        self.waiting: list[tuple[socket.socket, dict[str, Any], list[int]]] = []
        self.served = 0
        self.spare: Spare | None = None
        self.largest = 0  # bytes that the largest kernel so far took
        self.library = Library(place, never)
        self.shelf = Shelf()

    def prepare(self) -> None:
        """Import what every kernel needs; go on with the states that the life before has kept."""
        self.library.prepare()
        self.shelf.take_over(self.library.handed_on)
        self.library.note()

    def learn(self, names: list[str]) -> None:
        """Import libraries ahead; start anew without one that may not be."""
        names = self.library.unknown(names)
        if names:
            self._drop()
            if self.library.learn(names):
                self.renew("an import may not be made ahead", self.shelf.handed_on())

    def renew(self, why: str, kept: list[list[Any]]) -> None:
        """Start anew in this process, keeping the socket, the kernels that run and the states named; does not return.

        States that are not named end: what they have imported has changed.
        """
        self.library.note(kept=kept)
        print(f"starting anew: {why}", file=sys.__stderr__, flush=True)
        for connection, _, _ in self.waiting:
            self._answer(connection, {"again": why})
        os.set_inheritable(self.listener.fileno(), True)
        os.execv(
            sys.executable,
            [sys.executable, *os_helpers.flags(), "-m", "mlnb.kernels.server.warm_parent", *sys.argv[1:]],
        )

    def serve(self) -> str:
        """Serve until the end; return why it ended."""
        bell, ring = os.pipe()
        for end in (bell, ring):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        self._keep = {bell, ring}
        mine, last = os.stat(self.place.socket).st_ino, time.monotonic()
        while True:
            heard = [self.listener.fileno(), bell, *(one.connection.fileno() for one in self.shelf.kept)]
            ready = set(select.select(heard, [], [], min(self.idle, 30.0, *self.shelf.next_ends()))[0])
            with contextlib.suppress(BlockingIOError):
                os.read(bell, 4096)
            self._reap()
            self.shelf.gone(ready)
            self.shelf.tend(len(self.running) + 1)
            if self.listener.fileno() in ready and self._accept() == "stop":
                return "stopped"
            self._admit()
            if self.running or self.waiting or self.shelf.kept or ready:
                last = time.monotonic()
            elif time.monotonic() - last >= self.idle:
                return "idle"
            try:
                if os.stat(self.place.socket).st_ino != mine:
                    return "another has taken the socket"
            except OSError:
                return "its folder is gone"

    def _accept(self) -> str | None:
        connection, _ = self.listener.accept()
        connection.settimeout(PATIENCE)
        try:
            asked, descriptors = requested(connection)
            connection.settimeout(None)
            if (verb := asked["verb"]) == "kernel":
                self._take(connection, asked, descriptors)
            elif verb == "learned":
                connection.close()
                self.learn(asked["imports"])
            elif verb == "snapshot":
                self.shelf.put(connection, asked["about"])
            elif verb == "drop":
                of = asked["family"]
                self.shelf.end(one for one in list(self.shelf.kept) if of in (None, one.about["family"]))
                connection.close()
            elif verb == "end":
                self._answer(connection, {"status": self.ends.get(asked["pid"])})
            elif verb == "status":
                self._answer(connection, self.status())
            elif verb == "stop":
                if asked.get("now"):
                    for pid in self.running:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
                self._answer(connection, {"stopped": os.getpid()})
                return "stop"
        except (OSError, ValueError, KeyError):
            connection.close()
        return None

    def _take(self, connection: socket.socket, asked: dict[str, Any], descriptors: list[int]) -> None:
        """Put a request in the queue; start anew first when a file that was imported has changed."""
        self.waiting.append((connection, asked, descriptors))
        file = self.library.changed()
        if file is not None:
            self.renew(f"{file} has changed", [])
        if not self._room(asked):
            self._answer(connection, {"queued": len(self.waiting)}, close=False)

    def _room(self, asked: dict[str, Any]) -> bool:
        """Return whether another kernel fits beside those that run; one inside another's notebook always does."""
        if not self.running or asked.get("nested") or asked.get("jupyter"):
            return True
        return len(self.running) < asked["at_once"] and os_helpers.free_memory() > ROOM + self.largest

    def _admit(self) -> None:
        while self.waiting and self._room(self.waiting[0][1]):
            connection, asked, descriptors = self.waiting[0]
            if (kept := self.shelf.find(asked.get("wake"))) and self._wake(kept):
                continue
            self.learn(asked["imports"])
            if self.spare is not None and not forked_process.like(self.spare.asked, asked):
                self._drop()
            spare = self.spare or self._fork(asked)
            self.spare = None
            del self.waiting[0]
            with contextlib.suppress(OSError):  # one that is gone is noticed by the driver
                request(spare.link, asked, [connection.fileno(), *descriptors])
            spare.link.close()
            self._began(spare.pid, connection, asked, descriptors)
            if not self.waiting and not asked.get("jupyter"):
                self.spare = self._fork(asked)

    def _began(self, pid: int, connection: socket.socket, asked: dict[str, Any], descriptors: list[int]) -> None:
        """Remember a kernel that has what it needs, and let go of its descriptors."""
        if pid not in self.ends:
            self.running[pid] = asked.get("notebook", "")
        self.served += 1
        connection.close()
        for descriptor in descriptors:
            os.close(descriptor)

    def _wake(self, kept: Kept) -> bool:
        """Have the first request's kernel made of a state that was kept; return whether that could be."""
        connection, asked, descriptors = self.waiting[0]
        pid = self.shelf.wake(kept, asked, [connection.fileno(), *descriptors])
        if pid is None:
            return False
        del self.waiting[0]
        self._began(pid, connection, asked, descriptors)
        return True

    def _fork(self, asked: dict[str, Any]) -> "Spare":
        """Return a kernel that makes itself ready for requests like `asked`."""
        ours, theirs = socket.socketpair()
        kept, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
        pid = os.fork()  # Python 3.12 warns of native threads: those of an idle BLAS, which knows how to fork
        warnings.showwarning = kept
        if pid:
            theirs.close()
            return Spare(pid, ours, asked)
        ours.close()
        self.listener.close()
        for one in self.shelf.kept:
            one.connection.close()
        for descriptor in self._keep:
            os.close(descriptor)
        for other, _, more in self.waiting:
            other.close()
            for descriptor in more:
                os.close(descriptor)
        here = [str(self.place.folder), self.place.socket.name]
        raise Forked(theirs, asked | {"launcher": os_helpers.launcher(), "parent": here})

    def _drop(self) -> None:
        """Let the spare kernel go: it was made ready for something else."""
        if self.spare is not None:
            self.spare.link.close()
            self.spare = None

    def _reap(self) -> None:
        """Take the ends of kernels, and end what their notebooks left running in their process groups."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(found.si_pid, signal.SIGKILL)
            _, status, usage = os.wait4(found.si_pid, 0)
            self.largest = max(self.largest, usage.ru_maxrss * 1024)
            self.running.pop(found.si_pid, None)
            if self.spare is not None and self.spare.pid == found.si_pid:
                self._drop()
            self.ends[found.si_pid] = status
            while len(self.ends) > REMEMBERED:
                del self.ends[next(iter(self.ends))]

    def _answer(self, connection: socket.socket, answer: dict[str, Any], close: bool = True) -> None:
        with contextlib.suppress(OSError):
            connection.sendall(pack(b"a", [json.dumps(answer).encode()]))
        if close:
            connection.close()

    def status(self) -> dict[str, Any]:
        """Return what `mlnb kernels status` shows."""
        return {
            "pid": os.getpid(),
            "started": self.started,
            "python": sys.executable,
            "version": sys.version.split()[0],
            "imported": self.library.imports,
            "never": self.library.never,
            "kept": self.shelf.told(),
            "kept_memory": self.shelf.memory(len(self.running) + 1),
            "running": {str(pid): notebook for pid, notebook in self.running.items()},
            "waiting": len(self.waiting),
            "served": self.served,
            "idle": self.idle,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def main(arguments: list[str]) -> tuple[Any, ...] | None:
    """Serve in the background, the process that was started ends at once; in a fork, return what kernel it is."""
    folder, name, listener, idle, never = arguments
    if os.getpid() != os.getsid(0):  # not started anew
        if os.fork():
            os._exit(0)
        os.setsid()
    del sys.path[0]  # the folder it was started in: never the place of a library
    os.chdir("/")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # read by Matplotlib's import
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin starve the neighbour's; read at load, too
    parent = Parent(Place(Path(folder), name), socket.socket(fileno=int(listener)), float(idle), never.split())
    os_helpers.adopt_orphans()
    parent.prepare()
    try:
        why = parent.serve()
    except Forked as forked:
        return forked.kernel
    print(f"ends: {why}", file=sys.__stderr__, flush=True)
    if why != "another has taken the socket":
        with contextlib.suppress(OSError):
            parent.place.socket.unlink()
    return None


if __name__ == "__main__" and (kernel := main(sys.argv[1:])) is not None:
    forked_process.become(*kernel)
