"""Events of a run, for progress output, trackers and `--json`."""

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mlnb.engine.runs import Run


@dataclass(frozen=True)
class Event:
    """Base of all events; `run.record` is up to date when a listener is called."""

    name: ClassVar[str] = ""
    run: Run


@dataclass(frozen=True)
class RunStarted(Event):
    """A run has started."""

    name = "run_started"


@dataclass(frozen=True)
class RunFinished(Event):
    """A run has ended, with or without success."""

    name = "run_finished"


@dataclass(frozen=True)
class StageEvent(Event):
    """Base of the events of one stage."""

    stage: str


@dataclass(frozen=True)
class StageStarted(StageEvent):
    """The execution of a stage has started."""

    name = "stage_started"
    reason: str


@dataclass(frozen=True)
class CellStarted(StageEvent):
    """The execution of a cell has started: its index from 0, the number of cells, and the heading above it."""

    name = "cell_started"
    cell: int
    cells: int
    heading: str


@dataclass(frozen=True)
class StageProgress(StageEvent):
    """A stage has reported how far it is: `done` of `total`, and a text."""

    name = "stage_progress"
    done: float
    total: float
    text: str


@dataclass(frozen=True)
class StageFinished(StageEvent):
    """A stage has finished."""

    name = "stage_finished"


@dataclass(frozen=True)
class StageReused(StageEvent):
    """A stage was not executed, as its result was in the store."""

    name = "stage_reused"


@dataclass(frozen=True)
class StageFailed(StageEvent):
    """A stage has failed or was interrupted."""

    name = "stage_failed"
    message: str


@dataclass(frozen=True)
class StageRetried(StageEvent):
    """A stage has failed with a transient error and is repeated; its last attempt has the time that it waits."""

    name = "stage_retried"
    message: str


StageEnded = StageFinished | StageReused | StageFailed
Listener = Callable[[Event], None]


class EventDispatcher:
    """Calls listeners with one event at a time; one that raises is reported once and removed, the run continues."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = list(listeners)
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Call every listener."""
        with self._lock:
            for listener in list(self._listeners):
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 -- a listener must not end a run
                    self._listeners.remove(listener)
                    warnings.warn(
                        f"{type(listener).__name__} failed and is no longer called: {error!r}",
                        RuntimeWarning,
                        stacklevel=2,
                    )
