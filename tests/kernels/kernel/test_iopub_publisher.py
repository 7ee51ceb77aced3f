"""What a kernel publishes arrives in order, also from processes that it forks, and the thread can be paused."""

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from waiting import wait_for

from mlnb.kernels.kernel.iopub_publisher import Publisher, Timers
from mlnb.kernels.protocol.wire import IOPUB, FrameSocket

Connected = tuple[Publisher, FrameSocket, threading.Event]


@pytest.fixture
def connected() -> Iterator[Connected]:
    """A publisher that runs, the driver's end of its connection, and what is set when that is closed."""
    ours, theirs = socket.socketpair()
    gone = threading.Event()
    publisher = Publisher(FrameSocket(ours), None, gone.set)
    publisher.start()
    yield publisher, FrameSocket(theirs), gone
    publisher.stop()
    publisher.abandon()
    ours.close()
    theirs.close()


def test_messages_arrive_in_order(connected: Connected) -> None:
    publisher, driver, _ = connected
    for number in range(100):
        publisher.background_socket.send_multipart([b"%d" % number])
    assert [driver.receive() for _ in range(100)] == [(IOPUB, [b"%d" % number]) for number in range(100)]


def test_timers_are_called_when_they_are_due(connected: Connected) -> None:
    publisher, _, _ = connected
    called: list[str] = []
    publisher.io_loop.call_later(0.05, lambda: called.append("later"))
    publisher.io_loop.add_callback(called.append, "soon")
    wait_for(lambda: called == ["soon", "later"], 30, "both calls")


def test_due_timers_are_known() -> None:
    woken: list[bool] = []
    timers = Timers(lambda: woken.append(True))
    assert timers.run() is None
    timers.call_later(60, lambda: None)
    assert woken == [True] and 59_000 < (timers.run() or 0) < 61_000


def test_a_forked_process_publishes_through_the_kernel(connected: Connected) -> None:
    publisher, driver, _ = connected
    publisher.send_multipart([b"before"])
    with publisher.paused():
        child = os.fork()
    if not child:
        publisher.send_multipart([b"child"])
        os._exit(0)
    os.waitpid(child, 0)
    publisher.send_multipart([b"after"])
    assert [driver.receive() for _ in range(3)] == [(IOPUB, [text]) for text in (b"before", b"child", b"after")]


def test_a_paused_publisher_sends_nothing(connected: Connected) -> None:
    publisher, driver, _ = connected
    with publisher.paused():
        publisher.send_multipart([b"later"])
        time.sleep(0.05)  # in which an unpaused publisher would send
        assert driver.receive_available() == []
    assert driver.receive() == (IOPUB, [b"later"])


def test_a_driver_that_disconnects_is_noticed(connected: Connected) -> None:
    _, driver, gone = connected
    driver.close()
    assert gone.wait(5)


def test_without_its_thread_it_sends_at_once() -> None:
    ours, theirs = socket.socketpair()
    publisher = Publisher(FrameSocket(ours), None, lambda: None)
    publisher.send_multipart([b"at once"])
    assert FrameSocket(theirs).receive() == (IOPUB, [b"at once"])
    publisher.abandon()
    ours.close()
    theirs.close()
