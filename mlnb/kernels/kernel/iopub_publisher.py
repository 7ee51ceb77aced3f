"""ipykernel's IOPub thread on a plain socket: the same queue, flushes and fork handling, without ZeroMQ."""

import contextlib
import heapq
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from ipykernel.iostream import BackgroundSocket, IOPubThread

from mlnb.kernels.protocol.wire import IOPUB, FrameDecoder, FrameSocket, pack, receive_with_descriptors

TRANSFER_SECONDS = 3.0  # that a forked process waits until the kernel has taken what it printed


class Timers:
    """The two methods of an event loop that ipykernel's streams call.

    Args:
        wake: called when there is something new to run.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call a function in the publishing thread after `delay` seconds."""
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._numbers), function))
        self._wake()

    def add_callback(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the publishing thread soon."""
        self.call_later(0, lambda: function(*arguments))

    def run(self) -> float | None:
        """Call what is due; return the milliseconds until the next call, None when there is none."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        return max(0.0, self._due[0][0] - time.monotonic()) * 1000 + 1 if self._due else None


class Publisher(IOPubThread):
    """Sends what a kernel publishes from one thread, including what processes forked by the notebook publish.

    Args:
        connection: to the driver.
        session: the kernel's Jupyter session.
        on_disconnect: called in the thread when the driver is gone.
    """

    def __init__(self, connection: FrameSocket, session: Any, on_disconnect: Callable[[], None]) -> None:
        self.connection = connection
        self.socket = connection  # ipykernel only checks that there is one
        self.session = session
        self._on_disconnect = on_disconnect
        self._stopped = False
        self.background_socket = BackgroundSocket(self)  # type: ignore[no-untyped-call]
        self._events: deque[Callable[..., Any]] = deque()
        self.timers = Timers(self._wake)
        self.io_loop = self.timers  # type: ignore[assignment]
        self.send: Callable[[list[Any]], None] = lambda parts: connection.send(IOPUB, parts)
        self.reopen()

    def reopen(self) -> None:
        """Belong to this process, with a new thread and new descriptors."""
        self._owner = os.getpid()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC)
        self._inbox, self._outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.thread = threading.Thread(target=self._run, name="IOPub", daemon=True)

    def abandon(self) -> None:
        """Close the descriptors, in a fork of the process that goes on with them."""
        os.close(self._wakeup)
        self._inbox.close()
        self._outbox.close()

    @property
    def sockets(self) -> set[int]:
        """The descriptors of its sockets."""
        return {self._inbox.fileno(), self._outbox.fileno()}

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pause the thread, with everything sent and no lock held, while the process is forked."""
        is_paused, proceed = threading.Event(), threading.Event()

        def pause() -> None:
            is_paused.set()
            proceed.wait()

        self.schedule(pause)
        is_paused.wait()
        try:
            yield
        finally:
            proceed.set()

    def start(self) -> None:
        """Start the thread; it ends with the process."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread after all that is scheduled."""
        if self.thread.is_alive():
            self._stopped = True
            self._wake()
            self.thread.join(timeout=30)

    def schedule(self, f: Callable[..., Any]) -> None:
        """Call `f` in the thread, or here when there is none (in a forked process)."""
        if self.thread.is_alive():
            self._events.append(f)
            self._wake()
        else:
            f()

    def send_multipart(self, parts: list[Any], *args: Any, **kwargs: Any) -> None:
        """Send a message from the thread; from a forked process, through the kernel's."""
        self.schedule(lambda: self._transfer(pack(IOPUB, parts)) if os.getpid() != self._owner else self.send(parts))

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_write(self._wakeup, 1)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        poll.register(self._inbox, select.POLLIN)
        poll.register(self.connection, select.POLLRDHUP)
        try:
            while True:
                timeout = self.timers.run()
                for _ in range(len(self._events)):
                    self._events.popleft()()
                if self._stopped and not self._events:
                    return
                for descriptor, _ in poll.poll(0 if self._events else timeout):
                    if descriptor == self._wakeup:
                        os.eventfd_read(self._wakeup)
                    elif descriptor == self._inbox.fileno():
                        self._receive_transfer()
                    else:
                        self._on_disconnect()
                        return
        except (OSError, ValueError):  # the notebook has closed the descriptors, or the driver is gone
            self._on_disconnect()

    def _transfer(self, data: bytes) -> None:
        """In a forked process: pass a frame to the kernel and wait until it has it, so that the order is kept."""
        ours, theirs = socket.socketpair()
        with ours, contextlib.suppress(OSError):
            with theirs:
                socket.send_fds(self._outbox, [b"+"], [theirs.fileno()])
            ours.settimeout(TRANSFER_SECONDS)
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            ours.recv(1)

    def _receive_transfer(self) -> None:
        """Publish a frame that a forked process passes on."""
        _, descriptors = receive_with_descriptors(self._inbox, 1, 1)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as theirs, contextlib.suppress(OSError):
                theirs.settimeout(TRANSFER_SECONDS)
                received = []
                while data := theirs.recv(1 << 20):
                    received.append(data)
                for _, parts in FrameDecoder().feed(b"".join(received)):
                    self.send(parts)
                theirs.send(b"+")
