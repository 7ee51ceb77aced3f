"""What happens in a run, told to whoever listens: progress lines, trackers, `--json`."""

import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlnb.engine.runs import Run

KINDS = (
    "run_started",
    "stage_started",
    "stage_progress",
    "stage_finished",
    "stage_failed",
    "stage_reused",
    "run_finished",
)


@dataclass(frozen=True)
class Event:
    """One thing that happened; `run.record` is up to date when a listener sees it."""

    kind: str
    run: "Run"
    stage: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]


class Announcer:
    """Tells listeners one event at a time; a listener that fails is reported once and left out, the run goes on."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = list(listeners)
        self._lock = threading.RLock()

    def __call__(self, event: Event) -> None:
        """Tell every listener."""
        with self._lock:
            for listener in list(self._listeners):
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001 -- a listener must not end a run
                    self._listeners.remove(listener)
                    warnings.warn(
                        f"{type(listener).__name__} stopped listening: {error!r}", RuntimeWarning, stacklevel=2
                    )
