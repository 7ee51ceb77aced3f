"""A tracker in the background: events are queued for a slower tracker, which runs in a separate thread."""

import atexit
import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from mlnb.engine.events import CellStarted, Event, RunFinished, StageProgress, StageStarted
from mlnb.tracking.run_results import INTERRUPTED

POLL = 0.1  # seconds in which `close` notices that it need not wait


class Tracker(Protocol):
    """Records one run."""

    def __call__(self, event: Event) -> None:
        """Record an event; the record of its run no longer changes."""

    def close(self) -> None:
        """Release all resources, also after an error."""


class BackgroundTracker:
    """Queues a run's events for a tracker that is created when a stage really starts.

    The first stages of a run are short and need every processor, so the tracker is created some seconds later, or at
    the end of a shorter run. Without an executed stage it is never created. An exception of the tracker ends the
    tracking of that run with one warning, never the run.
    """

    def __init__(
        self, create: Callable[[], Tracker], warn: Callable[[str], None], timeout: float = 30.0, delay: float = 0.0
    ) -> None:
        """Prepare the queue.

        Args:
            create: Creates the tracker of one run.
            warn: Receives one sentence when tracking fails.
            timeout: Seconds that `close` waits.
            delay: Seconds between the start of the first stage and the creation of the tracker.
        """
        self.create = create
        self.warn = warn
        self.timeout = timeout
        self.delay = delay
        self._queues: dict[str, queue.SimpleQueue[Event | None]] = {}  # of runs that have not finished
        self._threads: dict[str, threading.Thread] = {}
        self._abandoned = threading.Event()

    def __call__(self, event: Event) -> None:
        """Queue an event; returns at once."""
        if isinstance(event, CellStarted | StageProgress):
            return
        run = event.run.id
        events = self._queues.setdefault(run, queue.SimpleQueue())
        events.put(replace(event, run=event.run.snapshot()))
        if isinstance(event, StageStarted) and run not in self._threads:
            thread = threading.Thread(target=self._track, args=(events,), daemon=True)
            self._threads[run] = thread
            thread.start()
        elif isinstance(event, RunFinished):
            del self._queues[run]

    def close(self) -> None:
        """Wait until all events are recorded, at most `timeout` seconds; of a run that did not finish none follow."""
        for events in self._queues.values():
            events.put(None)
        self._queues.clear()
        deadline = time.monotonic() + self.timeout
        threads = list(self._threads.values())
        while _any_alive(threads) and time.monotonic() < deadline and not self._abandoned.is_set():
            next(filter(threading.Thread.is_alive, threads), threads[0]).join(POLL)
        if _any_alive(threads) and self._abandoned.is_set():
            atexit.register(_leave, threads)
        elif _any_alive(threads):
            self.warn(
                f"Tracking did not finish within {self.timeout:.0f} s and was stopped; `mlnb runs` lists the run."
            )
        self._threads.clear()

    def abandon(self) -> None:
        """Let `close` return: what is not recorded by then is left out, also at the end of this process."""
        self._abandoned.set()

    def _track(self, events: "queue.SimpleQueue[Event | None]") -> None:
        start = time.monotonic() + self.delay
        early: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while not early or not isinstance(early[-1], RunFinished):
                event = events.get(timeout=max(0.0, start - time.monotonic()))
                if event is None:
                    return
                early.append(event)
        try:
            with contextlib.closing(self.create()) as tracker:
                while event := early.pop(0) if early else events.get():
                    tracker(event)
                    if isinstance(event, RunFinished):
                        break
        except Exception as error:  # noqa: BLE001 -- the run continues whatever a tracker does
            if self._abandoned.is_set():
                return
            self.warn(
                f"Tracking stopped: {type(error).__name__}: {error}. "
                "The run continues; its record has the same results (`mlnb show latest`)."
            )


def _any_alive(threads: Sequence[threading.Thread]) -> bool:
    return any(thread.is_alive() for thread in threads)


def _leave(threads: Sequence[threading.Thread]) -> None:
    """End this process after Ctrl-C when a tracker still works: it and its own exit hooks would end each other."""
    if _any_alive(threads):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
