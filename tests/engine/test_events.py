"""Events reach every listener, one at a time; a listener that fails is removed."""

import threading
from typing import Any, cast

import pytest

from mlnb.engine.events import Event, EventDispatcher, RunFinished, RunStarted
from mlnb.engine.runs import Run

RUN = cast(Run, None)  # listeners of these tests do not read it


def test_a_listener_that_fails_is_reported_once_and_removed() -> None:
    received: list[str] = []

    def broken(event: Event) -> None:
        raise OSError("disk")

    send = EventDispatcher([broken, lambda event: received.append(event.name)])
    with pytest.warns(RuntimeWarning, match=r"function failed and is no longer called: OSError\('disk'\)"):
        send(RunStarted(RUN))
    send(RunFinished(RUN))
    assert received == ["run_started", "run_finished"]


def test_one_event_is_sent_at_a_time() -> None:
    inside: list[Any] = []
    overlaps: list[int] = []
    barrier = threading.Barrier(4)

    def listener(event: Event) -> None:
        inside.append(event)
        overlaps.append(len(inside))
        inside.pop()

    send = EventDispatcher([listener])

    def run() -> None:
        barrier.wait(10)
        for _ in range(200):
            send(RunStarted(RUN))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert overlaps == [1] * 800
