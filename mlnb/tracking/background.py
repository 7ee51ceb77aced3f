"""A listener that is never waited for: events are handed on to a slower one in a thread of its own."""

import contextlib
import copy
import queue
import threading
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
    """Hands a run's events to a tracker, which `make` makes when the run's first stage really starts.

    Reused stages alone never make it: a run with nothing to do costs nothing. At the end of a run the thread
    is joined for at most `patience` seconds. What `make` or the tracker raises ends the tracking of that run
    with one warning, never the run.
    """

    def __init__(self, make: Callable[[], Tracker], warn: Callable[[str], None], patience: float = 30.0) -> None:
        self.make = make
        self.warn = warn
        self.patience = patience
        self._waiting: dict[str, queue.SimpleQueue[Event]] = {}
        self._threads: dict[str, threading.Thread] = {}

    def __call__(self, event: Event) -> None:
        """Take an engine's event; returns at once, except for `run_finished`, which waits for the thread."""
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
            self._join(self._threads.pop(run.id, None))

    def _join(self, thread: threading.Thread | None) -> None:
        if thread is None:
            return
        thread.join(self.patience)
        if thread.is_alive():
            self.warn(f"Tracking is not done after {self.patience:.0f} s and was left; the run record is whole.")

    def _work(self, events: "queue.SimpleQueue[Event]") -> None:
        try:
            with contextlib.closing(self.make()) as tracker:
                while (event := events.get()).kind != "run_finished":
                    tracker(event)
                tracker(event)
        except Exception as error:  # noqa: BLE001 -- whatever a tracker does, the run goes on
            self.warn(
                f"Tracking stopped: {type(error).__name__}: {error}. "
                "The run goes on; its record holds the same facts (`mlnb show latest`)."
            )
