"""ipykernel's own application, kernel and shell, on one plain socket instead of five of ZeroMQ.

What a cell shows is made by ipykernel and IPython themselves, so it is what the standard engine writes; only the way
out is another. Everything here runs in a process forked for one notebook.
"""

import asyncio
import atexit
import contextlib
import gc
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import zmq
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from tornado import ioloop
from traitlets import Any as AnyTrait
from traitlets.config import Config

from mlnb.kernels.kernel import snapshot_fitness, state_snapshot
from mlnb.kernels.kernel.iopub_publisher import Publisher
from mlnb.kernels.protocol import jupyter_sockets
from mlnb.kernels.protocol.wire import Wire

Adopted = tuple[socket.socket, str, list[int]]  # connection to the driver, its secret, its standard streams
Handler = Callable[[list[Any]], Awaitable[None]]


class ShellStream:
    """The kernel's shell channel: requests come in between cells, replies go out at once."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._handler: Handler | None = None

    def on_recv(self, handler: Handler, copy: bool = False) -> None:
        """Hand each request to `handler`, as a ZMQStream does."""
        self._handler = handler

    def handle(self, parts: list[bytes]) -> None:
        """Start handling one request."""
        assert self._handler is not None
        task = asyncio.ensure_future(self._handler([zmq.Frame(part) for part in parts]))
        _running.add(task)
        task.add_done_callback(_running.discard)

    def send_multipart(self, parts: list[Any], **_: Any) -> None:
        """Send a reply."""
        self.wire.send(b"s", parts)

    def flush(self, *_: Any) -> None:
        """Return at once: nothing waits."""


_running: set[Any] = set()


class OneThread:
    """Stands where ipykernel keeps its shell channel thread; this kernel has none."""

    def __init__(self) -> None:
        self.parent_thread = threading.current_thread()

    def __bool__(self) -> bool:
        return False


class ForkedKernel(IPythonKernel):
    """ipykernel's kernel without its threads for control and subshells."""

    shell_stream = AnyTrait()

    def start(self) -> None:
        """Take requests, without the debugger."""
        self.shell.exit_now = False  # type: ignore[union-attr]
        super(IPythonKernel, self).start()  # type: ignore[no-untyped-call]

    @property
    def _supports_kernel_subshells(self) -> bool:
        return False


class ForkedApp(IPKernelApp):
    """ipykernel's application, whose sockets are one connection that exists already."""

    wire: Wire
    kernel_class = ForkedKernel

    def init_connection_file(self) -> None:
        """Do nothing: nobody connects from outside."""

    def init_poller(self) -> None:
        """Do nothing: the publisher notices when the driver is gone."""

    def init_heartbeat(self) -> None:
        """Do nothing: a process that ends is noticed without."""

    def write_connection_file(self, **_: Any) -> None:
        """Do nothing: nobody connects from outside."""

    def log_connection_info(self) -> None:
        """Do nothing: nobody connects from outside."""

    def init_sockets(self) -> None:
        """Publish through the connection."""
        self.shell_stream = ShellStream(self.wire)
        self.configure_tornado_logger()  # type: ignore[no-untyped-call]
        self.iopub_thread = Publisher(self.wire, self.session, lost)
        self.iopub_socket = self.iopub_thread.background_socket

    def init_kernel(self) -> None:
        """Create ipykernel's kernel and IPython's shell."""
        self.kernel = ForkedKernel.instance(
            parent=self,
            session=self.session,
            shell_stream=self.shell_stream,
            shell_channel_thread=OneThread(),
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        self.displayhook.get_execution_count = lambda: self.kernel.execution_count

    def parse_command_line(self, argv: Any = None) -> None:
        """Take the arguments of every notebook without building a parser; any others as ever."""
        usual = ("-f", str(argv[1]), "--HistoryManager.hist_file=:memory:") if argv else ()
        if set(argv or ()) - set(usual):
            super().parse_command_line(argv)
        else:
            self.update_config(Config({"HistoryManager": {"hist_file": ":memory:"}}))

    def close(self) -> None:
        """Do nothing: the process leaves by `leave`."""


class Line:
    """The connection that a kernel lives by: requests come in, the wish to leave, and to keep the state."""

    def __init__(self, app: ForkedApp, parent: list[str]) -> None:
        self.app = app
        self.parent = parent
        self.loop = ioloop.IOLoop.current()
        self.asked_to_leave = False

    def take(self, connection: socket.socket, streams: list[int], about: dict[str, Any]) -> None:
        """Live by a connection from now on, and say so; `streams` become the process's own output and error."""
        kept = self.app.kernel._stdout, self.app.kernel._stderr
        for number, descriptor in enumerate(streams, start=1):
            # where they keep the original, when they watch the descriptor
            os.dup2(descriptor, getattr(kept[number - 1], "_original_stdstream_copy", number))
            os.close(descriptor)
        self.app.wire.attach(connection)
        self.app.iopub_thread.start()
        self.loop.add_handler(self.app.wire.fileno(), self._arrived, ioloop.IOLoop.READ)
        self.app.wire.send(b"h", [json.dumps({"pid": os.getpid(), **about}).encode()])

    def _arrived(self, *_: Any) -> None:
        messages = self.app.wire.available()
        if messages is None:
            lost()
        for channel, parts in messages or []:
            if channel == b"q":
                self.asked_to_leave = True
                self.loop.stop()
            elif channel == b"f":
                self._keep(json.loads(parts[0]))
            else:
                self.app.shell_stream.handle(parts)

    def _keep(self, about: dict[str, Any]) -> None:
        """Keep the state once the last request is done with, and answer; be another kernel where one comes of it."""
        if _running:
            self.loop.call_later(0.001, lambda: self._keep(about))
            return
        answer: dict[str, Any] = {"kept": True}
        try:
            woken = state_snapshot.keep(self.app, self.loop.asyncio_loop, about, self.parent)  # type: ignore[attr-defined]
        except (snapshot_fitness.Unfit, OSError) as error:
            woken, answer = None, {"kept": False, "why": str(error)}
        if woken is None:
            self.app.wire.send(b"f", [json.dumps(answer).encode()])
        else:
            self._wake(*woken)

    def _wake(self, asked: dict[str, Any], descriptors: list[int]) -> None:
        """Go on from the state that was kept, for whoever asks now."""
        os.environ.update(asked["set"])
        self.app.kernel.shell.user_ns.update(asked["variables"])
        self.app.session.key = asked["secret"].encode()
        if asked.get("jupyter"):
            jupyter_sockets.open_sockets(self.app, Path(asked["file"]))
        else:
            os.environ["JPY_PARENT_PID"] = str(asked["driver"])
        self.take(socket.socket(fileno=descriptors[0]), descriptors[1:], {"state": asked["wake"]})


def serve(arguments: list[str], adopted: Callable[[], Adopted], last: Callable[[], None], parent: list[str]) -> None:
    """Be the kernel of one notebook until the driver says leave; does not return.

    All is made ready before `adopted` is called, which waits for a notebook. `parent` is where the warm parent listens.
    """
    ForkedApp.wire = Wire(None)
    app = ForkedApp.instance()
    line = Line(app, parent)
    app.initialize(arguments)  # type: ignore[no-untyped-call]
    app.kernel.start()
    connection, secret, streams = adopted()
    app.session.key = secret.encode()
    line.take(connection, streams, {})
    while not line.asked_to_leave:
        try:
            line.loop.start()
        except KeyboardInterrupt:
            continue
        break  # asked to leave, or the notebook has said exit
    leave(app, app.wire, last)


def launch(arguments: list[str], adopted: Callable[[], Adopted], last: Callable[[], None]) -> None:
    """Be a kernel with all of Jupyter's sockets, as `ipykernel_launcher` is; does not return.

    It lives as long as the process that Jupyter has started for it.
    """
    connection, _, streams = adopted()
    for number, descriptor in enumerate(streams, start=1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    wire = Wire(connection)
    wire.send(b"h", [json.dumps({"pid": os.getpid()}).encode()])

    def watch() -> None:
        wire.receive()
        lost()

    threading.Thread(target=watch, name="Launcher", daemon=True).start()
    app = IPKernelApp.instance()
    app.initialize(arguments)  # type: ignore[no-untyped-call]
    app.start()  # type: ignore[no-untyped-call]
    leave(app, wire, last)


leaving = threading.Event()  # set when the driver has been told all and may go


def lost() -> None:
    """End, and all that the notebook has started, as the driver is gone; on the way out there is a word left to say."""
    if not leaving.is_set():
        os.killpg(0, signal.SIGKILL)


def leave(app: IPKernelApp, wire: Wire, last: Callable[[], None]) -> None:
    """End as an interpreter ends (processes, threads, exit hooks, variables, files), without taking it all apart.

    `last` is called when nobody waits any more.
    """
    code = 0
    try:
        if any(file.read_text() for file in Path("/proc/self/task").glob("*/children")):
            ioloop.IOLoop.current().run_sync(app.kernel._at_shutdown)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        forget(app.shell)
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):
                stream.flush()  # type: ignore[union-attr]
        leaving.set()
        with contextlib.suppress(OSError):
            wire.send(b"b", [])
        last()
    except BaseException:  # noqa: BLE001 -- whatever an exit hook does, the process leaves
        code = 1
    finally:
        os._exit(code)


def forget(shell: Any) -> None:
    """Drop the notebook's variables, so that what they hold is closed and flushed."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    if shell.history_manager is not None:
        shell.history_manager.output_hist.clear()
    shell.user_module.__dict__.clear()
    shell.user_ns.clear()
    gc.collect()
