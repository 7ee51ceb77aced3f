"""A listener that is never waited for: events are handed on to a slower one in a thread of its own."""

import contextlib
import copy
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from mlnb.engine.events import Event
from mlnb.engine.runs import Run


class Tracker(Protocol):
    """Writes one run down somewhere."""

    def __call__(self, event: Event) -> None:
        """Take an event, whose record no longer changes."""

    def close(self) -> None:
        """Let go of everything, whatever happened before."""


class Background:
    """Hands a run's events to a tracker, which `make` makes `after` so many seconds when a stage really starts.

    The first stages of a run are short and want every processor; a run that ends sooner has its tracker at its end.
    Reused stages alone never make it: a run with nothing to do costs nothing. `close` joins the threads for at most
    `patience` seconds. What `make` or the tracker raises ends the tracking of that run with one warning, never the run.
    """

    def __init__(
        self, make: Callable[[], Tracker], warn: Callable[[str], None], patience: float = 30.0, after: float = 0.0
    ) -> None:
        self.make = make
        self.warn = warn
        self.patience = patience
        self.after = after
        self._waiting: dict[str, queue.SimpleQueue[Event]] = {}
        self._threads: dict[str, threading.Thread] = {}

    def __call__(self, event: Event) -> None:
        """Take an engine's event; returns at once."""
        if event.kind == "stage_progress":
            return
        run = Run(event.run.project, event.run.folder, copy.deepcopy(event.run.record))
        events = self._waiting.setdefault(run.id, queue.SimpleQueue())
        events.put(replace(event, run=run))
        if event.kind == "stage_started" and run.id not in self._threads:
            thread = threading.Thread(target=self._work, args=(events,), daemon=True)
            self._threads[run.id] = thread
            thread.start()
        elif event.kind == "run_finished":
            del self._waiting[run.id]

    def close(self) -> None:
        """Wait until all is written down, or until it has taken too long."""
        until = time.monotonic() + self.patience
        for thread in self._threads.values():
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads.values()):
            self.warn(f"Tracking is not done after {self.patience:.0f} s and was left; the run record is whole.")
        self._threads.clear()

    def _work(self, events: "queue.SimpleQueue[Event]") -> None:
        until = time.monotonic() + self.after
        early: list[Event] = []
        with contextlib.suppress(queue.Empty):
            while not early or early[-1].kind != "run_finished":
                early.append(events.get(timeout=max(0.0, until - time.monotonic())))
        try:
            with contextlib.closing(self.make()) as tracker:
                kind = ""
                while kind != "run_finished":
                    event = early.pop(0) if early else events.get()
                    tracker(event)
                    kind = event.kind
        except Exception as error:  # noqa: BLE001 -- whatever a tracker does, the run goes on
            self.warn(
                f"Tracking stopped: {type(error).__name__}: {error}. "
                "The run goes on; its record holds the same facts (`mlnb show latest`)."
            )
