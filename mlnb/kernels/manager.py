"""What nbclient calls a kernel manager and a client, for a kernel that was forked: one process, one connection."""

import asyncio
import contextlib
import os
import secrets
import select
import signal
import time
from collections import deque
from queue import Empty
from typing import Any

from jupyter_client.session import Session

from mlnb.kernels import call, child, places
from mlnb.kernels.wire import Wire

TAKEN = 1.0  # seconds in which what a dead kernel has said is read
LEAVING = 5.0  # seconds that a kernel may take to leave, as Jupyter gives it
NESTED = "MLNB_KERNEL"  # set in a kernel: one that its notebook starts must not wait for it to end
ENDING = 1.0  # seconds between asking it to end and ending it


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


class Manager:
    """Starts, interrupts and ends one forked kernel, as nbclient asks a kernel manager to."""

    ipykernel = True  # nbclient then keeps the history of cells in memory

    def __init__(self, start: places.Settings, asked: dict[str, Any], timeout: float) -> None:
        self.settings = start
        self.asked = asked
        self.timeout = timeout
        self.pid = 0
        self._client: Client | None = None

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel was started."""
        return self._client is not None

    def start_kernel(self, extra_arguments: list[str] | None = None, **options: Any) -> None:
        """Have a kernel forked; raises call.NoParent when there is no warm parent."""
        asked = child.circumstances() | self.asked
        secret = secrets.token_hex(16)  # messages are signed, as every Jupyter message is
        asked |= {
            "verb": "kernel",
            "secret": secret,
            "arguments": extra_arguments or [],
            "at_once": self.settings.at_once,
        }
        asked["environment"] |= options.get("env") or {}
        asked["nested"] = bool(os.environ.get(NESTED))
        asked["environment"][NESTED] = "1"
        asked["cwd"] = os.path.abspath(options.get("cwd") or asked["cwd"])
        place = places.Place(self.settings.folder, places.key(asked["environment"]))
        wire, self.pid = call.kernel(place, self.settings, asked, self.timeout)
        self.place = place
        self._client = Client(wire, os.pidfd_open(self.pid), secret)

    def client(self) -> Client:
        """Return the client of the kernel."""
        assert self._client is not None
        return self._client

    def is_alive(self) -> bool:
        """Return whether the kernel is there."""
        return self._client is not None and not self._client.gone

    def interrupt_kernel(self) -> None:
        """Raise KeyboardInterrupt in the cell that runs."""
        self._signal(signal.SIGINT)

    def end_told(self) -> str:
        """Return how a kernel that died has ended, in a word or two; empty when nobody knows."""
        for _ in range(20):
            answer = call.ask(self.place, {"verb": "end", "pid": self.pid}) or {}
            status = answer.get("status")
            if status is not None:
                if os.WIFSIGNALED(status):
                    return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
                return f"exit code {os.waitstatus_to_exitcode(status)}"
            time.sleep(0.005)
        return ""

    def shutdown_kernel(self, now: bool = False) -> None:
        """Have the kernel leave as an interpreter does; one that does not within 5 s is ended, with its processes."""
        client = self._client
        if client is None:
            return
        if not now and not client.gone:
            if client.busy:
                self.interrupt_kernel()
            with contextlib.suppress(OSError):
                client.wire.send(b"q", [])
            if self._left(LEAVING, by_word=True):
                return
            self._signal(signal.SIGTERM, group=True)
            self._left(ENDING)
        self._signal(signal.SIGKILL, group=True)
        self._left(ENDING)

    def cleanup_resources(self) -> None:
        """End what a dead kernel's notebook has left running in its process group."""
        if self._client is not None and self._client.gone and not self._client.left:
            self._signal(signal.SIGKILL, group=True)

    def _left(self, seconds: float, by_word: bool = False) -> bool:
        """Wait until the kernel has said goodbye or its process has ended; what it still says is not read."""
        client = self._client
        assert client is not None
        client._ignore()
        poll = select.poll()
        poll.register(client.watch, select.POLLIN)
        if not client.gone:
            poll.register(client.wire, select.POLLIN)
        until = time.monotonic() + seconds
        while (rest := until - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(rest * 1000):
                if descriptor == client.watch:
                    client.gone = True
                    return True
                client.read()
                client.iopub_channel.messages.clear()
                if client.gone:
                    poll.unregister(client.wire)
                elif client.left and by_word:
                    client.gone = True
                    return True
        return False

    def _signal(self, number: signal.Signals, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if group:
                os.killpg(self.pid, number)
            elif self._client is not None:
                signal.pidfd_send_signal(self._client.watch, number)
