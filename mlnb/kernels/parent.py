"""The warm parent: imports libraries ahead, uses none of them, and forks a kernel for each notebook that asks.

    python -m mlnb.kernels.parent FOLDER KEY LISTENER IDLE NEVER

It runs in one thread and never runs a notebook's code. When its interpreter, its packages or a file that it has
imported has changed, or an import must be undone, it starts itself anew under the same process id and socket.
"""

import contextlib
import gc
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

from mlnb.kernels import child, preload, system
from mlnb.kernels.places import Place
from mlnb.kernels.spare import Forked, Spare
from mlnb.kernels.wire import pack, request, requested

CHECK = 0.5  # seconds for which files that were looked at count as unchanged
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
        self.done: set[str] = set()
        notes = place.read_notes()
        self.packages = [preload.stamp(file) for file in (*preload.site_folders(), preload.__file__)]
        same = notes.get("packages") == [list(stamp) for stamp in self.packages]
        self.never: dict[str, str] = notes.get("never", {}) if same else {}  # new packages get a new chance
        if same and notes.get("trying"):  # the process before this one did not survive that import
            self.never[notes["trying"]] = "ended the process that imported it"
        self.declared_never = tuple(never)
        self.imports: list[str] = notes.get("imports", [])
        self.signed: dict[str, tuple[int, int]] = {}
        self.checked = 0.0

    def prepare(self) -> None:
        """Import what every kernel needs."""
        sys.stdout, sys.stderr = preload.Standin("stdout"), preload.Standin("stderr")
        sys.modules["debugpy"] = None  # type: ignore[assignment]  # no debugger: it costs 0.1 s and starts threads
        import ipykernel.debugger  # noqa: F401

        del sys.modules["debugpy"]
        from mlnb.kernels.kernel import launch, serve

        child.from_parent.update(serve=serve, launch=launch, request=request, requested=requested)
        for name in preload.KERNEL:
            with contextlib.suppress(ImportError):
                __import__(name)
        child.from_parent["filters"] = list(warnings.filters)
        child.from_parent["base"] = {name.partition(".")[0] for name in sys.modules}
        self._sign()

    def _sign(self) -> None:
        self.signed = preload.signature()
        self.checked = time.monotonic()
        gc.collect()
        gc.freeze()  # the memory that children share is not touched by their garbage collection

    def _note(self, trying: str = "") -> None:
        with contextlib.suppress(OSError):
            self.place.write_notes(
                {"imports": self.imports, "never": self.never, "trying": trying, "packages": self.packages}
            )

    def learn(self, names: list[str]) -> None:
        """Import libraries ahead; start anew without one that may not be."""
        names = [name for name in names if name not in self.done and name not in self.never]
        names = [name for name in names if preload.allowed(name, self.declared_never) and preload.third_party(name)]
        if not names:
            return
        self._drop()
        self.imports += [name for name in names if name not in self.imports]
        if preload.preload(names, self.done, self.never, self._note):
            self.imports = [name for name in self.imports if name not in self.never]
            self.renew("an import may not be made ahead")
        self._sign()

    def renew(self, why: str) -> None:
        """Start anew in this process, keeping the socket and the kernels that run; does not return."""
        self._note()
        print(f"starting anew: {why}", file=sys.__stderr__, flush=True)
        for connection, _, _ in self.waiting:
            self._answer(connection, {"again": why})
        os.set_inheritable(self.listener.fileno(), True)
        os.execv(sys.executable, [sys.executable, *system.flags(), "-m", "mlnb.kernels.parent", *sys.argv[1:]])

    def serve(self) -> str:
        """Serve until the end; return why it ended."""
        bell, ring = os.pipe()
        for end in (bell, ring):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        poll = select.poll()
        for heard in (self.listener, bell):
            poll.register(heard, select.POLLIN)
        self._keep = {bell, ring}
        mine, last = os.stat(self.place.socket).st_ino, time.monotonic()
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(min(self.idle, 30.0) * 1000)}
            with contextlib.suppress(BlockingIOError):
                os.read(bell, 4096)
            self._reap()
            if self.listener.fileno() in ready and self._accept() == "stop":
                return "stopped"
            self._admit()
            if self.running or self.waiting or ready:
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
                self.learn([name for name in asked["imports"] if name.partition(".")[0] in sys.modules])
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
        if time.monotonic() - self.checked >= CHECK:
            self.checked = time.monotonic()
            file = preload.changed(self.signed)
            if file is not None:
                self.never = {}
                self.renew(f"{file} has changed")
        if not self._room(asked):
            self._answer(connection, {"queued": len(self.waiting)}, close=False)

    def _room(self, asked: dict[str, Any]) -> bool:
        """Return whether another kernel fits beside those that run; one inside another's notebook always does."""
        if not self.running or asked.get("nested") or asked.get("jupyter"):
            return True
        return len(self.running) < asked["at_once"] and system.free_memory() > ROOM + self.largest

    def _admit(self) -> None:
        while self.waiting and self._room(self.waiting[0][1]):
            connection, asked, descriptors = self.waiting[0]
            self.learn(asked["imports"])
            if self.spare is not None and not child.like(self.spare.asked, asked):
                self._drop()
            spare = self.spare or self._fork(asked)
            self.spare = None
            del self.waiting[0]
            with contextlib.suppress(OSError):  # one that is gone is noticed by the driver
                request(spare.link, asked, [connection.fileno(), *descriptors])
            spare.link.close()
            self.running[spare.pid] = asked.get("notebook", "")
            self.served += 1
            connection.close()
            for descriptor in descriptors:
                os.close(descriptor)
            if not self.waiting and not asked.get("jupyter"):
                self.spare = self._fork(asked)

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
        for descriptor in self._keep:
            os.close(descriptor)
        for other, _, more in self.waiting:
            other.close()
            for descriptor in more:
                os.close(descriptor)
        here = [str(self.place.folder), self.place.socket.name]
        raise Forked(theirs, asked | {"launcher": system.launcher(), "parent": here})

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
            "imported": self.imports,
            "never": self.never,
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
    child.become(*kernel)
