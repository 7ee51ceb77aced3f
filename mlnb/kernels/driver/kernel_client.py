"""A forked kernel's client, with the methods of Jupyter's that nbclient calls, on one connection."""

import asyncio
import contextlib
import os
import time
from collections import deque
from queue import Empty

from jupyter_client.session import Session

from mlnb.kernels.protocol.messages import JupyterMessage, SnapshotInfo, SnapshotResult, decode
from mlnb.kernels.protocol.wire import EXITING, IOPUB, SHELL, SNAPSHOT, FrameSocket

DRAIN_SECONDS = 1.0  # in which nbclient reads what a dead kernel has published
SNAPSHOT_SECONDS = 30.0  # that a kernel may take to take a snapshot


class Channel:
    """One of nbclient's channels: holds messages until nbclient takes them."""

    def __init__(self, client: "ForkedKernelClient") -> None:
        self._client = client
        self.messages: deque[JupyterMessage] = deque()

    async def get_msg(self, timeout: float | None = None) -> JupyterMessage:
        """Return the next message; raises `queue.Empty` after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.messages:
            rest = None if deadline is None else deadline - time.monotonic()
            if rest is not None and rest <= 0:
                raise Empty
            await self._client.wait(rest)
        return self.messages.popleft()

    def send(self, message: JupyterMessage) -> None:
        """Send a message made by the session."""
        self._client.send(message)


class ForkedKernelClient:
    """Sends requests to a kernel and sorts its messages into channels.

    Args:
        connection: to the kernel.
        process: pidfd of the kernel's process, closed with the channels.
        session_key: signs messages.
    """

    def __init__(self, connection: FrameSocket, process: int, session_key: str) -> None:
        self.session = Session(key=session_key.encode())
        self.allow_stdin = False
        self.connection = connection
        self.process = process
        self.shell_channel = Channel(self)
        self.iopub_channel = Channel(self)
        self.dead = False
        self.exiting = False  # the kernel has reported that it exits
        self.pending: set[str] = set()  # ids of requests without a reply
        self._snapshot_results: deque[SnapshotResult] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def start_channels(self) -> None:
        """Do nothing: the connection exists."""

    def wait_for_ready(self, timeout: float | None = None) -> None:
        """Do nothing: a kernel whose connection exists is ready."""

    def stop_channels(self) -> None:
        """Close the connection."""
        self.stop_listening()
        with contextlib.suppress(OSError):
            os.close(self.process)
        self.process = -1
        self.connection.close()

    def is_alive(self) -> bool:
        """Return whether the kernel is alive, or messages of it are still to be read."""
        return not self.dead or bool(self.shell_channel.messages or self.iopub_channel.messages)

    def execute(
        self,
        code: str,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool | None = None,
        stop_on_error: bool = True,
    ) -> str:
        """Request the execution of code; return the request's id."""
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": user_expressions or {},
            "allow_stdin": self.allow_stdin if allow_stdin is None else allow_stdin,
            "stop_on_error": stop_on_error,
        }
        return self.send(self.session.msg("execute_request", content))

    def kernel_info(self) -> str:
        """Request information on the kernel's language; return the request's id."""
        return self.send(self.session.msg("kernel_info_request"))

    def send(self, message: JupyterMessage) -> str:
        """Send a request; return its id."""
        message_id = str(message["header"]["msg_id"])
        self.pending.add(message_id)
        with contextlib.suppress(OSError):  # whoever waits for the reply notices that the kernel is gone
            self.connection.send(SHELL, self.session.serialize(message))
        return message_id

    def receive(self) -> None:
        """Take the frames that have arrived; notice when the kernel is gone."""
        while True:
            frames = self.connection.receive_available()
            if frames is None:
                self.dead = True
                return
            if not frames:
                return
            for channel, parts in frames:
                if channel == EXITING:
                    self.exiting = True
                elif channel == SNAPSHOT:
                    self._snapshot_results.append(decode(parts[0], SnapshotResult))
                elif channel in (SHELL, IOPUB):
                    message = self.session.deserialize(self.session.feed_identities(parts)[1])
                    if channel == SHELL:
                        self.pending.discard(message["parent_header"].get("msg_id"))
                        self.shell_channel.messages.append(message)
                    else:
                        self.iopub_channel.messages.append(message)

    async def wait(self, timeout: float | None) -> None:
        """Wait until something has arrived or the kernel is dead, at most `timeout` seconds."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.stop_listening()
            self._loop = loop
            if not self.dead:
                loop.add_reader(self.connection.fileno(), self._on_readable)
                loop.add_reader(self.process, self._on_exit)
        waiter = loop.create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout)  # wait_for may swallow a cancellation (Python 3.11)
        finally:
            self._waiters.discard(waiter)

    async def take_snapshot(self, info: SnapshotInfo) -> str | None:
        """Have the kernel take a snapshot; return why it could not, or None when it has."""
        try:
            self.connection.send_message(SNAPSHOT, info)
        except OSError:
            return "the kernel is gone"
        deadline = time.monotonic() + SNAPSHOT_SECONDS
        while not self._snapshot_results and not self.dead and time.monotonic() < deadline:
            await self.wait(deadline - time.monotonic())
        return self._snapshot_results.popleft().error if self._snapshot_results else "it does not respond"

    async def wait_for_exit(self) -> None:
        """Wait until the kernel is dead and its messages are read, or nobody reads them."""
        while not self.dead:
            await self.wait(None)
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.002)

    def stop_listening(self) -> None:
        """Stop waiting for the kernel in an event loop."""
        if self._loop is not None and not self._loop.is_closed():
            for descriptor in (self.connection.fileno(), self.process):
                if descriptor >= 0:
                    self._loop.remove_reader(descriptor)
        self._loop = None

    def _on_readable(self) -> None:
        self.receive()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self.dead:
            self.stop_listening()

    def _on_exit(self) -> None:
        self.receive()
        self.dead = True
        self._on_readable()
