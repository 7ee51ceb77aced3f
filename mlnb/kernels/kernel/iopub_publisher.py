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

from ipykernel.iostream import CHILD, BackgroundSocket, IOPubThread

from mlnb.kernels.protocol.wire import Reader, Wire, pack, received_with

ANSWER = 3.0  # seconds that a forked process waits until what it printed has been taken over


class Timers:
    """The two methods of an event loop that ipykernel's streams call."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def call_later(self, delay: float, function: Callable[[], None]) -> None:
        """Call a function in the publishing thread after some seconds."""
        heapq.heappush(self._due, (time.monotonic() + delay, next(self._number), function))
        self._wake()

    def add_callback(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the publishing thread soon."""
        self.call_later(0, lambda: function(*arguments))

    def run(self) -> float | None:
        """Call what is due; return the milliseconds until the next, None when there is none."""
        while self._due and self._due[0][0] <= time.monotonic():
            heapq.heappop(self._due)[2]()
        return max(0.0, self._due[0][0] - time.monotonic()) * 1000 + 1 if self._due else None


class Publisher(IOPubThread):
    """Sends what a kernel publishes from one thread, and takes over what processes forked by the notebook publish."""

    def __init__(self, wire: Wire, session: Any, gone: Callable[[], None]) -> None:
        self.wire = wire
        self.socket = wire  # only its presence is asked
        self.session = session
        self._gone = gone
        self._stopped = False
        self._pipe_flag = True
        self.background_socket = BackgroundSocket(self)  # type: ignore[no-untyped-call]
        self._events: deque[Callable[..., Any]] = deque()
        self.timers = Timers(self._ring)
        self.io_loop = self.timers  # type: ignore[assignment]
        self.out: Callable[[list[Any]], None] = lambda message: wire.send(b"i", message)
        self.reopen()

    def reopen(self) -> None:
        """Belong to this process, with a thread and descriptors of its own."""
        self._master_pid = os.getpid()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)
        self._inbox, self._outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.thread = threading.Thread(target=self._thread_main, name="IOPub", daemon=True)

    def abandon(self) -> None:
        """Close the descriptors, in a fork of the process that goes on with them."""
        os.close(self._bell)
        self._inbox.close()
        self._outbox.close()

    @property
    def sockets(self) -> set[int]:
        """The sockets that are its own."""
        return {self._inbox.fileno(), self._outbox.fileno()}

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Hold the thread still, with nothing left to send and no lock taken, while the process is forked."""
        here, go = threading.Event(), threading.Event()

        def rest() -> None:
            here.set()
            go.wait()

        self.schedule(rest)
        here.wait()
        try:
            yield
        finally:
            go.set()

    def start(self) -> None:
        """Start the thread; it ends with the process."""
        self.thread.start()

    def stop(self) -> None:
        """End the thread after all that is scheduled."""
        if self.thread.is_alive():
            self._stopped = True
            self._ring()
            self.thread.join(timeout=30)

    def schedule(self, f: Callable[..., Any]) -> None:
        """Call `f` in the thread, or here when there is none (in a forked process)."""
        if self.thread.is_alive():
            self._events.append(f)
            self._ring()
        else:
            f()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):
            os.eventfd_write(self._bell, 1)

    def _thread_main(self) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        poll.register(self._inbox, select.POLLIN)
        poll.register(self.wire, select.POLLRDHUP)
        try:
            while True:
                wait = self.timers.run()
                for _ in range(len(self._events)):
                    self._events.popleft()()
                if self._stopped and not self._events:
                    return
                for descriptor, _ in poll.poll(0 if self._events else wait):
                    if descriptor == self._bell:
                        os.eventfd_read(self._bell)
                    elif descriptor == self._inbox.fileno():
                        self._take_over()
                    else:
                        self._gone()
                        return
        except (OSError, ValueError):  # the notebook has closed our descriptors, or nobody listens
            self._gone()

    def _really_send(self, msg: list[Any], *args: Any, **kwargs: Any) -> None:
        if self._check_mp_mode() == CHILD:  # type: ignore[no-untyped-call]
            self._hand_over(pack(b"i", msg))
        else:
            self.out(msg)

    def _hand_over(self, data: bytes) -> None:
        """In a forked process: give a packed message to the kernel and wait until it has it, so that order is kept."""
        ours, theirs = socket.socketpair()
        with ours, contextlib.suppress(OSError):
            with theirs:
                socket.send_fds(self._outbox, [b"+"], [theirs.fileno()])
            ours.settimeout(ANSWER)
            ours.sendall(data)
            ours.shutdown(socket.SHUT_WR)
            ours.recv(1)

    def _take_over(self) -> None:
        _, descriptors = received_with(self._inbox, 1, 1)
        for descriptor in descriptors:
            with socket.socket(fileno=descriptor) as theirs, contextlib.suppress(OSError):
                theirs.settimeout(ANSWER)
                parts = []
                while part := theirs.recv(1 << 20):
                    parts.append(part)
                for _, message in Reader().feed(b"".join(parts)):
                    self.out(message)
                theirs.send(b"+")
