"""What nbclient calls a kernel's client, for a kernel at the other end of one connection."""

import asyncio
import contextlib
import json
import os
import time
from collections import deque
from queue import Empty
from typing import Any

from jupyter_client.session import Session

from mlnb.kernels.protocol.wire import Wire

TAKEN = 1.0  # seconds in which what a dead kernel has said is read
KEEPING = 30.0  # seconds that a kernel may take to keep its state


class Channel:
    """One of nbclient's channels: messages wait here until they are asked for."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.messages: deque[dict[str, Any]] = deque()

    async def get_msg(self, timeout: float | None = None) -> dict[str, Any]:
        """Return the next message; raises queue.Empty after `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while not self.messages:
            rest = None if until is None else until - time.monotonic()
            if rest is not None and rest <= 0:
                raise Empty
            await self._client.wait(rest)
        return self.messages.popleft()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message that the session has made."""
        self._client.send(message)


class Client:
    """Sends requests to a kernel and sorts what comes back."""

    def __init__(self, wire: Wire, watch: int, secret: str) -> None:
        self.session = Session(key=secret.encode())
        self.allow_stdin = False
        self.wire = wire
        self.watch = watch  # descriptor that tells the end of the kernel's process
        self.shell_channel = Channel(self)
        self.iopub_channel = Channel(self)
        self.kept: deque[dict[str, Any]] = deque()  # answers to being asked to keep the state
        self.gone = False
        self.left = False  # it has said goodbye
        self.busy: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    def start_channels(self) -> None:
        """Do nothing: the connection is there."""

    def wait_for_ready(self, timeout: float | None = None) -> None:
        """Do nothing: a kernel that has said hello is ready."""

    def stop_channels(self) -> None:
        """Close the connection."""
        self._ignore()
        with contextlib.suppress(OSError):
            os.close(self.watch)
        self.watch = -1
        self.wire.close()

    def is_alive(self) -> bool:
        """Return whether the kernel is there, or something that it said is still to be read."""
        return not self.gone or bool(self.shell_channel.messages or self.iopub_channel.messages)

    def execute(
        self,
        code: str,
        silent: bool = False,
        store_history: bool = True,
        user_expressions: dict[str, Any] | None = None,
        allow_stdin: bool | None = None,
        stop_on_error: bool = True,
    ) -> str:
        """Ask for a cell to be run; return the request's id."""
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
        """Ask which language the kernel speaks; return the request's id."""
        return self.send(self.session.msg("kernel_info_request"))

    def send(self, message: dict[str, Any]) -> str:
        """Send a request; return its id."""
        name = str(message["header"]["msg_id"])
        self.busy.add(name)
        with contextlib.suppress(OSError):  # a kernel that is gone is noticed by whoever waits for the answer
            self.wire.send(b"s", self.session.serialize(message))
        return name

    def read(self) -> None:
        """Take what has arrived; notice when nothing more will."""
        while True:
            messages = self.wire.available()
            if messages is None:
                self.gone = True
                return
            if not messages:
                return
            for channel, parts in messages:
                if channel == b"b":
                    self.left = True
                elif channel == b"f":
                    self.kept.append(json.loads(parts[0]))
                elif channel in b"si":
                    message = self.session.deserialize(self.session.feed_identities(parts)[1])
                    if channel == b"s":
                        self.busy.discard(message["parent_header"].get("msg_id"))
                        self.shell_channel.messages.append(message)
                    else:
                        self.iopub_channel.messages.append(message)

    async def wait(self, timeout: float | None) -> None:
        """Wait until something has arrived or the kernel is gone, at most `timeout` seconds."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._ignore()
            self._loop = loop
            if not self.gone:
                loop.add_reader(self.wire.fileno(), self._arrived)
                loop.add_reader(self.watch, self._ended)
        waiter = loop.create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait((waiter,), timeout=timeout)  # wait_for may swallow a cancellation (Python 3.11)
        finally:
            self._waiters.discard(waiter)

    async def keep(self, about: dict[str, Any]) -> str | None:
        """Have the kernel keep its state as it is; return why it could not, or None when it is kept."""
        try:
            self.wire.send(b"f", [json.dumps(about).encode()])
        except OSError:
            return "the kernel is gone"
        until = time.monotonic() + KEEPING
        while not self.kept and not self.gone and time.monotonic() < until:
            await self.wait(until - time.monotonic())
        answer = self.kept.popleft() if self.kept else {"kept": False, "why": "it does not answer"}
        return None if answer["kept"] else str(answer["why"])

    async def ended(self) -> None:
        """Wait until the kernel is gone and everything that it said has been taken, or nobody takes it."""
        while not self.gone:
            await self.wait(None)
        until = time.monotonic() + TAKEN
        while self.is_alive() and time.monotonic() < until:
            await asyncio.sleep(0.002)

    def _arrived(self) -> None:
        self.read()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        if self.gone:
            self._ignore()

    def _ended(self) -> None:
        self.read()
        self.gone = True
        self._arrived()

    def _ignore(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            for descriptor in (self.wire.fileno(), self.watch):
                if descriptor >= 0:
                    self._loop.remove_reader(descriptor)
        self._loop = None
