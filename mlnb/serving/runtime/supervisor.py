"""The supervisor of a service's workers: it forks them from a process with the imports done, and replaces dead ones.

BentoML starts Circus, which runs each worker as a new Python process that imports everything again. Circus also takes
commands (among them one to start programs) on TCP ports of loopback, without authentication: any local user could run
code as the user of the service. BentoML has no option for another supervisor: `install_supervisor` replaces it. Linux
has this supervisor; elsewhere, and for BentoML's development mode, it is Circus with sockets that other users cannot
reach.
"""

import ctypes
import gc
import importlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any, NoReturn

from bentoml._internal.utils import circus

from mlnb.serving.runtime.http_server import SHUTDOWN_SECONDS
from mlnb.serving.runtime.service_worker import serve_worker
from mlnb.serving.runtime.structured_logs import log_event

CHECK_SECONDS = 1.0  # between two starts of a worker at least
KILL_SECONDS = SHUTDOWN_SECONDS + 5  # until workers that do not end are killed
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
DEATH_OF_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl


class ForkingSupervisor:
    """Starts workers as forks of this process. It has the methods of Circus's `Arbiter` that BentoML calls.

    Attributes:
        exit_stack: closed once the workers have ended.
        running: whether workers run.
    """

    def __init__(self, watcher: Any, sockets: Sequence[Any]) -> None:
        """Take what BentoML has for Circus.

        Args:
            watcher: command, environment and number of the workers.
            sockets: that the workers listen on.
        """
        self.exit_stack = ExitStack()
        self.running = False
        self._watcher, self._sockets = watcher, sockets
        self._workers: dict[int, tuple[int, float]] = {}  # number and time of the start, by process
        self._stopping = False
        self._code = 0

    def start(self, cb: Callable[[Any], object] | None = None) -> None:
        """Run the workers until a signal stops them.

        Args:
            cb: called once the workers have been started.

        Raises:
            OSError: a socket cannot be bound.
            SystemExit: a worker has ended, and none replaces it.
        """
        with self.exit_stack:
            for listening in self._sockets:
                listening.bind_and_listen()
            self.running = True
            if self._watcher.numprocesses == 1 and not self._watcher.respawn:  # nothing to supervise
                if cb is not None:
                    cb(self)
                self._serve(1)  # uvicorn closes the socket
            else:
                for listening in self._sockets:
                    self.exit_stack.callback(listening.close)
                self._supervise(cb)
            self.running = False
        if self._code:
            raise SystemExit(self._code)

    def stop(self) -> None:
        """Make the workers end after the requests that they have received."""
        self._signal_workers(signal.SIGINT if self._stopping else signal.SIGTERM)  # uvicorn: at once after a second one
        self._stopping = True
        signal.alarm(KILL_SECONDS)

    def _supervise(self, cb: Callable[[Any], object] | None) -> None:
        for number in STOPPING:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)
        importlib.import_module("_bentoml_impl.server.app")  # what each worker imports
        gc.collect()
        gc.freeze()  # memory that a collection does not touch stays shared with the workers
        for worker in range(1, self._watcher.numprocesses + 1):
            self._start_worker(worker)
        if cb is not None:
            cb(self)
        while self._workers:
            process, status = os.wait()
            worker, started = self._workers.pop(process, (0, 0.0))
            if not worker or self._stopping:
                continue
            code = os.waitstatus_to_exitcode(status)
            log_event("a worker ended", logging.ERROR, worker=worker, code=code)
            if not self._watcher.respawn:  # the engine of the container starts a new one
                self._code = code if code > 0 else 1
                self.stop()
                continue
            time.sleep(max(0.0, started + CHECK_SECONDS - time.monotonic()))
            if not self._stopping:
                self._start_worker(worker)
        signal.alarm(0)

    def _start_worker(self, worker: int) -> None:
        handled = {*STOPPING, signal.SIGALRM}
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        parent = os.getpid()
        process = os.fork()
        if not process:
            for number in handled:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
            self._work(worker, parent)
        self._workers[process] = worker, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    def _work(self, worker: int, parent: int) -> NoReturn:
        """Serve requests in this process, and end it; `parent` is the supervisor."""
        code = 1
        try:
            os.setsid()
            ctypes.CDLL(None).prctl(DEATH_OF_PARENT, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(code)
            self._serve(worker)
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            logging.getLogger("bentoml").exception("the worker ended")
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError, ValueError):
                    stream.flush()
            os._exit(code)

    def _serve(self, worker: int) -> None:
        """Serve requests as BentoML's worker with this number, until a signal."""
        values = {f"$(circus.sockets.{listening.name})": listening.fileno() for listening in self._sockets}
        values["$(CIRCUS.WID)"] = worker
        _, _, *arguments = self._watcher.args  # after `-m` and the module
        filled = [str(values.get(argument, argument)) for argument in arguments]
        serve_worker(filled, self._watcher.env or {}, self._watcher.working_dir)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop()

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        log_event("workers did not end and are killed", logging.ERROR)
        self._signal_workers(signal.SIGKILL)

    def _signal_workers(self, number: signal.Signals) -> None:
        for process in list(self._workers):
            with suppress(ProcessLookupError):
                os.kill(process, number)


def make_supervisor(
    watchers: Sequence[Any], *, sockets: Sequence[Any] = (), threaded: bool = False, **options: Any
) -> ForkingSupervisor | circus.Arbiter:
    """Return the supervisor of a service.

    Args:
        watchers: of the workers.
        sockets: that the workers listen on.
        threaded: run it in a thread.
        options: of Circus: of its plugins and logs.
    """
    if sys.platform == "linux" and len(watchers) == 1 and not threaded and not options:
        return ForkingSupervisor(watchers[0], sockets)
    folder = tempfile.mkdtemp(prefix="mlnb-service-")  # other users cannot enter it
    supervisor = (circus.ThreadedArbiter if threaded else circus.Arbiter)(
        watchers,
        endpoint=f"ipc://{folder}/commands",
        pubsub_endpoint=f"ipc://{folder}/events",
        check_delay=CHECK_SECONDS,
        sockets=sockets,
        **options,
    )
    supervisor.exit_stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return supervisor


def install_supervisor() -> None:
    """Make BentoML use this supervisor."""
    circus.create_standalone_arbiter = make_supervisor  # type: ignore[assignment]
