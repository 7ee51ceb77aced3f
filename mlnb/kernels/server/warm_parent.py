"""The warm parent: imports libraries ahead, runs none of their code, and forks a kernel for each notebook.

    python -m mlnb.kernels.server.warm_parent FOLDER KEY LISTENER IDLE_SECONDS NEVER_PRELOAD

It has one thread and never runs a notebook's code. When its interpreter, its packages or a file that it imported have
changed, or an import must be undone, it restarts under the same process id and socket.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time
import warnings
from pathlib import Path
from typing import NoReturn

from mlnb.available_memory import available_memory
from mlnb.kernels.protocol import compat, os_helpers
from mlnb.kernels.protocol.messages import (
    DropSnapshots,
    ExitStatus,
    GetExitStatus,
    GetStatus,
    InheritedSnapshot,
    MessageError,
    ParentStatus,
    PreloadImports,
    Queued,
    Refused,
    RegisterSnapshot,
    Response,
    Restarting,
    ResumedKernel,
    StartKernel,
    Stopped,
)
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.wire import receive_request, send_request, send_response
from mlnb.kernels.server.forked_process import KernelEntry, become_kernel
from mlnb.kernels.server.kernel_processes import KernelProcesses
from mlnb.kernels.server.preloaded_libraries import PreloadedLibraries
from mlnb.kernels.server.snapshot_pool import Snapshot, SnapshotPool
from mlnb.kernels.server.standby_kernel import ForkedChild, QueuedRequest, StandbyKernel, StandbyKernels

REQUEST_SECONDS = 5.0  # in which a request arrives completely
TAKEN_OVER = "another parent has taken the socket"
FREE_MEMORY = 256 << 20  # bytes that stay free when another kernel is started


class WarmParent:
    """Serves one socket until it is stopped or idle."""

    def __init__(self, paths: ParentPaths, listener: socket.socket, idle_seconds: float, never: list[str]) -> None:
        self.paths = paths
        self.listener = listener
        self.idle_seconds = idle_seconds
        self.started = time.time()
        self.kernels = KernelProcesses()
        self.queue: list[QueuedRequest] = []
        self.served = 0
        self.standbys = StandbyKernels()
        self.libraries = PreloadedLibraries(paths, never)
        self.snapshots = SnapshotPool()
        self.entry: KernelEntry | None = None
        self.problem: str | None = None  # why no kernel can be forked

    def prepare(self) -> None:
        """Import what every kernel needs; inherit the snapshots from before a restart."""
        self.entry, self.problem = self.libraries.prepare()
        self.snapshots.inherit(self.libraries.inherited)
        self.libraries.write_record()

    def preload(self, names: list[str]) -> None:
        """Import libraries ahead; restart without one that has side effects."""
        names = self.libraries.not_preloaded(names)
        if names:
            self.standbys.close()
            if self.libraries.preload(names):
                self.restart("an import has side effects and cannot be preloaded", self.snapshots.bequeath())

    def restart(self, reason: str, snapshots: list[InheritedSnapshot]) -> NoReturn:
        """Restart this process, keeping its socket, its kernels and these snapshots.

        Other snapshots end: the files that they were imported from have changed.
        """
        self.libraries.write_record(snapshots=snapshots)
        print(f"restarting: {reason}", file=sys.__stderr__, flush=True)
        for queued in self.queue:
            self._respond(queued.connection, Restarting(reason=reason))
        os.set_inheritable(self.listener.fileno(), True)
        module = "mlnb.kernels.server.warm_parent"
        os.execv(sys.executable, [sys.executable, *compat.interpreter_flags(), "-m", module, *sys.argv[1:]])

    def serve(self) -> str:
        """Serve until the end; return why it ended."""
        wakeup, signals = os.pipe()
        for end in (wakeup, signals):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.set_wakeup_fd(signals, warn_on_full_buffer=False)
        self._own_descriptors = {wakeup, signals}
        inode, last_activity = os.stat(self.paths.socket_path).st_ino, time.monotonic()
        while True:
            descriptors = [self.listener.fileno(), wakeup]
            descriptors += [one.connection.fileno() for one in self.snapshots.snapshots]
            timeout = min(self.idle_seconds, 30.0, *self.snapshots.timeouts())
            readable = set(select.select(descriptors, [], [], timeout)[0])
            with contextlib.suppress(BlockingIOError):
                os.read(wakeup, 4096)
            ended = self.kernels.reap()
            self.standbys.forget(ended)
            self.snapshots.remove_disconnected(readable)
            self.snapshots.evict(len(self.kernels.running) + 1)
            if self.listener.fileno() in readable and not self._accept():
                return "stopped"
            self._start_queued()
            if ended and self.listener.fileno() not in readable and (request := self.standbys.next_request()):
                self.standbys.add(self._fork(request))  # no request waits for this process now
            if self.kernels.running or self.queue or self.snapshots.snapshots or readable:
                last_activity = time.monotonic()
            elif time.monotonic() - last_activity >= self.idle_seconds:
                return "idle"
            try:
                if os.stat(self.paths.socket_path).st_ino != inode:
                    return TAKEN_OVER
            except OSError:
                return "its folder is gone"

    def _accept(self) -> bool:
        """Handle one request; return whether to go on serving."""
        connection, _ = self.listener.accept()
        connection.settimeout(REQUEST_SECONDS)
        try:
            request, descriptors = receive_request(connection)
            connection.settimeout(None)
            match request:
                case StartKernel():
                    self._enqueue(QueuedRequest(connection, request, descriptors))
                case PreloadImports():
                    connection.close()
                    self.preload(request.modules)
                case RegisterSnapshot():
                    self.snapshots.add(connection, request.info)
                case DropSnapshots():
                    self.snapshots.end_group(request.group)
                    connection.close()
                case ResumedKernel():
                    connection.close()
                    self.kernels.resume(request.pid)
                case GetExitStatus():
                    self._respond(connection, ExitStatus(wait_status=self.kernels.exit_statuses.get(request.pid)))
                case GetStatus():
                    self._respond(connection, self.status())
                case _:
                    if request.kill_kernels:
                        self.kernels.kill()
                    self._respond(connection, Stopped(pid=os.getpid()))
                    return False
        except (OSError, MessageError):
            connection.close()
        return True

    def _enqueue(self, queued: QueuedRequest) -> None:
        """Queue a request; refuse it if kernels cannot be forked, restart first if an imported file has changed."""
        file = self.libraries.changed_file()
        if self.problem is not None and file is None:
            self._respond(queued.connection, Refused(reason=self.problem))
            queued.close()
            return
        self.queue.append(queued)
        if file is not None:
            self.restart(f"{file} has changed", [])
        if not self._has_capacity(queued.request):
            self._respond(queued.connection, Queued(position=len(self.queue)), close=False)

    def _has_capacity(self, request: StartKernel) -> bool:
        """Return whether another kernel may start; one inside a notebook, or which all others may await, always may."""
        if self.kernels.none_goes_on or request.nested or request.jupyter_sockets:
            return True
        enough_memory = available_memory() > FREE_MEMORY + self.kernels.max_memory
        return len(self.kernels.running) < request.max_kernels and enough_memory

    def _start_queued(self) -> None:
        """Start kernels for queued requests as long as there is capacity."""
        while queued := next((one for one in self.queue if self._has_capacity(one.request)), None):
            request = queued.request
            snapshot = self.snapshots.find(request.restore.id) if request.restore else None
            if snapshot is not None and self._restore(snapshot, queued):
                continue
            self.preload(request.imports)
            assert self.entry is not None
            kernel = self.standbys.take(self.entry, request) or self._fork(request)
            self.queue.remove(queued)
            with contextlib.suppress(OSError):  # the driver notices that it is gone
                send_request(kernel.link, request, [queued.connection.fileno(), *queued.descriptors])
            kernel.link.close()
            self._started(kernel.pid, queued)
            if not self.queue and not request.jupyter_sockets:
                self.standbys.add(self._fork(request))

    def _started(self, pid: int, queued: QueuedRequest) -> None:
        """Note that a kernel has its request; close what it has taken over."""
        self.kernels.add(pid, queued.request.notebook, queued.request.pausing)
        self.served += 1
        queued.close()

    def _restore(self, snapshot: Snapshot, queued: QueuedRequest) -> bool:
        """Have a snapshot fork the kernel of a request; return whether it could."""
        pid = self.snapshots.restore(snapshot, queued.request, [queued.connection.fileno(), *queued.descriptors])
        if pid is None:
            return False
        self.queue.remove(queued)
        self._started(pid, queued)
        return True

    def _fork(self, request: StartKernel) -> StandbyKernel:
        """Return a kernel that prepares itself for requests like this one."""
        ours, theirs = socket.socketpair()
        original, warnings.showwarning = warnings.showwarning, lambda *_, **__: None
        pid = os.fork()  # Python 3.12 warns of native threads: those of an idle BLAS, which handles a fork
        warnings.showwarning = original
        if pid:
            theirs.close()
            return StandbyKernel(pid, ours, request)
        ours.close()
        self.listener.close()
        self.standbys.close()
        for snapshot in self.snapshots.snapshots:
            snapshot.connection.close()
        for descriptor in self._own_descriptors:
            os.close(descriptor)
        for queued in self.queue:
            queued.close()
        raise ForkedChild(self.paths, theirs, request)

    def _respond(self, connection: socket.socket, response: Response, close: bool = True) -> None:
        with contextlib.suppress(OSError):
            send_response(connection, response)
        if close:
            connection.close()

    def status(self) -> ParentStatus:
        """Return what `mlnb kernels status` shows."""
        return ParentStatus(
            pid=os.getpid(),
            started=self.started,
            executable=sys.executable,
            python_version=sys.version.split()[0],
            preloaded=self.libraries.imports,
            rejected=self.libraries.rejected,
            snapshots=self.snapshots.status(),
            snapshot_memory=self.snapshots.memory(len(self.kernels.running) + 1),
            kernels=self.kernels.running,
            queued=len(self.queue),
            served=self.served,
            idle_seconds=self.idle_seconds,
            memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )


def main(arguments: list[str]) -> tuple[KernelEntry, ForkedChild] | None:
    """Serve in the background; the process that was started ends at once. In a fork, return which kernel it becomes."""
    folder, key, listener, idle_seconds, never = arguments
    if os.getpid() != os.getsid(0):  # this is not a restart
        if os.fork():
            os._exit(0)
        os.setsid()
    del sys.path[0]  # the folder it was started in has no libraries
    os.chdir("/")
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")  # read when matplotlib is imported
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read at load; threads that spin slow down other kernels
    paths = ParentPaths(Path(folder), key)
    parent = WarmParent(paths, socket.socket(fileno=int(listener)), float(idle_seconds), never.split())
    os_helpers.become_subreaper()
    parent.prepare()
    try:
        reason = parent.serve()
    except ForkedChild as child:
        assert parent.entry is not None
        return parent.entry, child
    print(f"ends: {reason}", file=sys.__stderr__, flush=True)
    if reason != TAKEN_OVER:
        with contextlib.suppress(OSError):
            paths.socket_path.unlink()
    return None


if __name__ == "__main__" and (forked := main(sys.argv[1:])) is not None:
    become_kernel(forked[0], forked[1].paths, forked[1].link, forked[1].request)
