"""ipykernel's own application, kernel and shell, on one plain socket instead of five of ZeroMQ.

What a cell shows is made by ipykernel and IPython themselves, as under the standard engine; only the transport differs.
Everything here runs in a process forked for one notebook.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import zmq
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.jsonutil import json_default
from tornado import ioloop
from traitlets import Any as AnyTrait
from traitlets.config import Config

from mlnb.kernels.kernel import fork_safety, jupyter_sockets, state_snapshot
from mlnb.kernels.kernel.iopub_publisher import Publisher
from mlnb.kernels.kernel.process_exit import exit_process, on_disconnect
from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.messages import KernelReady, SnapshotInfo, SnapshotResult, StartKernel, decode
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.wire import READY, SHELL, SHUTDOWN, SNAPSHOT, FrameSocket, KernelRequest

RETRY_SECONDS = 0.001  # between looks whether the last request is done
Handler = Callable[[list[Any]], Awaitable[None]]
Pack = Callable[[Any], bytes]  # a part of a message as JSON in UTF-8


class ShellStream:
    """The kernel's shell channel: requests arrive between cells, replies are sent at once."""

    def __init__(self, connection: FrameSocket) -> None:
        self.connection = connection
        self.tasks: set[asyncio.Future[None]] = set()  # requests that are being handled
        self._handler: Handler | None = None

    def on_recv(self, handler: Handler, copy: bool = False) -> None:
        """Pass each request to `handler`, as a ZMQStream does."""
        self._handler = handler

    def handle(self, parts: list[bytes]) -> None:
        """Start handling one request."""
        assert self._handler is not None
        task = asyncio.ensure_future(self._handler([zmq.Frame(part) for part in parts]))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def send_multipart(self, parts: list[Any], **_: Any) -> None:
        """Send a reply."""
        self.connection.send(SHELL, parts)

    def flush(self, *_: Any) -> None:
        """Do nothing: replies are sent at once."""


class OneThread:
    """Stands for ipykernel's shell channel thread: false, because this kernel has none, but it knows its parent."""

    def __init__(self) -> None:
        self.parent_thread = threading.current_thread()

    def __bool__(self) -> bool:
        return False


@compat.without_subshells
class ForkedKernel(IPythonKernel):
    """ipykernel's kernel without its threads for control and subshells."""

    shell_stream = AnyTrait()

    def start(self) -> None:
        """Take requests, without the debugger."""
        self.shell.exit_now = False  # type: ignore[union-attr]
        super(IPythonKernel, self).start()  # type: ignore[no-untyped-call]


class ForkedApp(IPKernelApp):
    """ipykernel's application on one connection; `streams` are its standard output and error."""

    connection = AnyTrait()
    kernel_class = ForkedKernel
    streams: tuple[Any, Any]

    def init_connection_file(self) -> None:
        """Do nothing: nobody connects from outside."""

    def init_poller(self) -> None:
        """Do nothing: the publisher notices when the driver is gone."""

    def init_heartbeat(self) -> None:
        """Do nothing: the driver watches the process."""

    def write_connection_file(self, **_: Any) -> None:
        """Do nothing: nobody connects from outside."""

    def log_connection_info(self) -> None:
        """Do nothing: nobody connects from outside."""

    def init_sockets(self) -> None:
        """Publish through the connection."""
        self.shell_stream = ShellStream(self.connection)
        self.configure_tornado_logger()  # type: ignore[no-untyped-call]
        self.session.pack = replace_surrogates(self.session.pack)
        self.iopub_thread = Publisher(self.connection, self.session, on_disconnect)
        self.iopub_socket = self.iopub_thread.background_socket

    def init_kernel(self) -> None:
        """Create ipykernel's kernel and IPython's shell."""
        self.streams = sys.stdout, sys.stderr
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
        """Take the arguments of every notebook without building a parser, and any others as usual."""
        usual = ("-f", str(argv[1]), "--HistoryManager.hist_file=:memory:") if argv else ()
        if set(argv or ()) - set(usual):
            super().parse_command_line(argv)
        else:
            self.update_config(Config({"HistoryManager": {"hist_file": ":memory:"}}))

    def close(self) -> None:
        """Do nothing: the process ends by `exit_process`."""


class DriverConnection:
    """Handles what a kernel's driver sends: requests, snapshots, shutdown.

    Args:
        app: the kernel's application.
        parent: where the warm parent listens.
    """

    def __init__(self, app: ForkedApp, parent: ParentPaths) -> None:
        self.app = app
        self.parent = parent
        self.loop = ioloop.IOLoop.current()
        self.shutdown_requested = False

    def attach(self, descriptors: list[int], snapshot: str | None = None) -> None:
        """Serve the driver from now on, and report readiness.

        Args:
            descriptors: the connection, then the driver's standard streams, which become this process's own.
            snapshot: id of the snapshot that the kernel was restored from.
        """
        connection = socket.socket(fileno=descriptors[0])
        for number, (stream, descriptor) in enumerate(zip(self.app.streams, descriptors[1:], strict=False), start=1):
            os.dup2(descriptor, stream.fileno() if compat.watches_descriptor(stream) else number)
            os.close(descriptor)
        self.app.connection.attach(connection)
        self.app.iopub_thread.start()
        self.loop.add_handler(self.app.connection.fileno(), self._on_readable, ioloop.IOLoop.READ)
        self.app.connection.send_message(READY, KernelReady(pid=os.getpid(), snapshot=snapshot))

    def _on_readable(self, *_: Any) -> None:
        frames = self.app.connection.receive_available()
        if frames is None:
            on_disconnect()
        for channel, parts in frames or []:
            if channel == SHUTDOWN:
                self.shutdown_requested = True
                self.loop.stop()
            elif channel == SNAPSHOT:
                self._take_snapshot(decode(parts[0], SnapshotInfo))
            else:
                self.app.shell_stream.handle(parts)

    def _take_snapshot(self, info: SnapshotInfo) -> None:
        """Take a snapshot once the last request is done, and report; continue as the restored kernel in its forks."""
        if self.app.shell_stream.tasks:
            self.loop.call_later(RETRY_SECONDS, lambda: self._take_snapshot(info))
            return
        error, restored = None, None
        try:
            loop = self.loop.asyncio_loop  # type: ignore[attr-defined]
            restored = state_snapshot.take_snapshot(self.app, loop, info, self.parent)
        except (fork_safety.NotForkSafe, OSError) as problem:
            error = str(problem)
        if restored is None:
            self.app.connection.send_message(SNAPSHOT, SnapshotResult(error=error))
        else:
            self._restore(*restored)

    def _restore(self, request: StartKernel, descriptors: list[int]) -> None:
        """Continue from the snapshot for the driver that requests it now."""
        assert request.restore is not None
        os.environ.update(request.restore.environment)
        self.app.kernel.shell.user_ns.update(request.restore.variables)
        self.app.session.key = request.session_key.encode()
        if request.jupyter_sockets:
            jupyter_sockets.open_sockets(self.app, Path(request.connection_file))
        else:
            os.environ["JPY_PARENT_PID"] = str(request.context.driver_pid)
        shell = self.app.kernel.shell
        all(shell.run_cell(source, store_history=True).success for source in request.restore.cells)
        self.attach(descriptors, request.restore.id)


def replace_surrogates(pack: Pack) -> Pack:
    """Return a function that packs texts with halves of surrogate pairs, too, which UTF-8 does not have, as `?`.

    Names of files that are not UTF-8 have them; the thread that publishes outputs would end the kernel.
    """

    def replace(message: Any) -> bytes:
        try:
            return pack(message)
        except (TypeError, UnicodeError):
            text = json.dumps(message, default=json_default, ensure_ascii=False, allow_nan=False)
            return text.encode("utf-8", errors="replace")

    return replace


def run_notebook_kernel(
    arguments: list[str],
    wait_for_request: Callable[[], KernelRequest],
    before_exit: Callable[[], None],
    parent: ParentPaths,
) -> NoReturn:
    """Be the kernel of one notebook until its driver shuts it down.

    Args:
        arguments: of ipykernel's command line.
        wait_for_request: waits for a notebook; everything is prepared before it is called.
        before_exit: called at the very end, when nobody waits for this process any longer.
        parent: where the warm parent listens.
    """
    app = ForkedApp.instance(connection=FrameSocket(None))
    driver = DriverConnection(app, parent)
    app.initialize(arguments)  # type: ignore[no-untyped-call]
    assert app.shell is not None
    app.shell.display_formatter.format(None)  # creates the formatters before a request arrives
    app.kernel.start()
    request, descriptors = wait_for_request()
    app.session.key = request.session_key.encode()
    driver.attach(descriptors)
    while not driver.shutdown_requested:
        try:
            driver.loop.start()
        except KeyboardInterrupt:
            continue
        break  # shut down, or the notebook called exit
    exit_process(app, app.connection, before_exit)


def run_jupyter_kernel(
    arguments: list[str], wait_for_request: Callable[[], KernelRequest], before_exit: Callable[[], None]
) -> NoReturn:
    """Be a kernel with Jupyter's own sockets, as `ipykernel_launcher` is.

    It lives as long as the process that Jupyter started for it. Arguments as for `run_notebook_kernel`.
    """
    _, (descriptor, *streams) = wait_for_request()
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    connection = FrameSocket(socket.socket(fileno=descriptor))
    connection.send_message(READY, KernelReady(pid=os.getpid()))

    def watch() -> None:
        connection.receive()
        on_disconnect()

    threading.Thread(target=watch, name="Launcher", daemon=True).start()
    app = IPKernelApp.instance()
    app.initialize(arguments)  # type: ignore[no-untyped-call]
    app.start()  # type: ignore[no-untyped-call]
    exit_process(app, connection, before_exit)
