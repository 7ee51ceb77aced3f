"""What nbclient calls a kernel manager, for a kernel that was forked: one process, one connection."""

import contextlib
import os
import secrets
import select
import signal
import time
from typing import Any

from mlnb.kernels.driver import parent_client
from mlnb.kernels.driver.kernel_client import Client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.server import forked_process

LEAVING = 5.0  # seconds that a kernel may take to leave, as Jupyter gives it
NESTED = "MLNB_KERNEL"  # set in a kernel: one that its notebook starts must not wait for it to end
TELLING = 2.0  # seconds in which a kernel's process ends after its connection, and its parent knows how
ENDING = 1.0  # seconds between asking it to end and ending it


class Manager:
    """Starts, interrupts and ends one forked kernel, as nbclient asks a kernel manager to."""

    ipykernel = True  # nbclient then keeps the history of cells in memory

    def __init__(self, start: parent_paths.Settings, asked: dict[str, Any], timeout: float) -> None:
        self.settings = start
        self.asked = asked
        self.timeout = timeout
        self.pid = 0
        self.state: str | None = None  # what the kernel goes on from
        self.place: parent_paths.Place | None = None
        self._client: Client | None = None

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel was started."""
        return self._client is not None

    def start_kernel(self, extra_arguments: list[str] | None = None, **options: Any) -> None:
        """Have a kernel forked; raises parent_client.NoParent when there is no warm parent."""
        asked = forked_process.circumstances() | self.asked
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
        place = parent_paths.Place(self.settings.folder, parent_paths.key(asked["environment"]))
        asked["set"] = {name: value for name, value in asked["environment"].items() if name.startswith("MLNB_")}
        wire, said = parent_client.kernel(place, self.settings, asked, self.timeout)
        self.pid, self.state = said["pid"], said.get("state")
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
        assert self.place is not None and self._client is not None
        until = time.monotonic() + TELLING
        select.select([self._client.watch], [], [], TELLING)  # its connection ends first, on a busy machine much sooner
        while time.monotonic() < until:
            answer = parent_client.ask(self.place, {"verb": "end", "pid": self.pid}) or {}
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
        """Send a signal to the kernel, or to all of its process group."""
        assert self._client is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not group:
                signal.pidfd_send_signal(self._client.watch, number)
            elif not self._taken():
                os.killpg(self.pid, number)

    def _taken(self) -> bool:
        """Return whether the parent has ended the kernel's group and taken its end: the id may be another's now."""
        assert self._client is not None and self.place is not None
        try:
            signal.pidfd_send_signal(self._client.watch, 0)
        except ProcessLookupError:
            return parent_client.ask(self.place, {"verb": "end", "pid": self.pid}) is not None
        return False
