"""Progress of a queue of runs: how many of them have ended, and the stage that each running one is in."""

import json
import sys
from typing import Any

from mlnb.codec import to_json
from mlnb.engine.events import Event, RunFinished, RunStarted, StageStarted
from mlnb.reports.formatting import gate, interval, number, seconds
from mlnb.tracking.segment_results import SegmentResult


class QueueProgress:
    """One line when a segment has ended; in a terminal also the segments that are running, updated as they go on.

    Attributes:
        total: number of segments.
        ended: number of those that have ended.
    """

    def __init__(self, total: int, as_json: bool = False) -> None:
        """Start the display.

        Args:
            total: Number of segments.
            as_json: Whether to print JSON lines instead.
        """
        self.total = total
        self.ended = 0
        self._json = as_json
        self._stages: dict[str, str] = {}  # by segment that is running
        self._live: Any = None
        if sys.stdout.isatty() and not as_json:
            from rich.live import Live

            self._live = Live(get_renderable=self._draw, refresh_per_second=4, transient=True)
            self._live.start()

    def __call__(self, event: Event) -> None:
        """Take an event of a run."""
        segment = event.run.record.segment
        if isinstance(event, RunStarted):
            self._stages[segment] = "starting"
        elif isinstance(event, StageStarted):
            self._stages[segment] = event.stage
        elif isinstance(event, RunFinished):
            self._stages.pop(segment, None)
        if self._json and isinstance(event, StageStarted):
            self._print(
                json.dumps({"event": event.name, "segment": segment, "run": event.run.id, "stage": event.stage})
            )

    def end(self, result: SegmentResult) -> None:
        """Print the line of a segment that has ended."""
        self.ended += 1
        if self._json:
            values = {"event": "segment", "ended": self.ended, "total": self.total, **to_json(result)}
            self._print(json.dumps(values, ensure_ascii=False))
        else:
            width = len(str(self.total))
            self._print(f"  {self.ended:>{width}} of {self.total}  {describe_result(result)}")

    def close(self) -> None:
        """End the display; more results are printed as lines."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, line: str) -> None:
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _draw(self) -> Any:
        from rich.text import Text

        running = ", ".join(f"{segment} ({stage})" for segment, stage in list(self._stages.items()))
        text = Text(f"{self.ended} of {self.total} segments ended", style="bold", overflow="ellipsis", no_wrap=True)
        return text.append(f"; running: {running}" if running else "", style="dim")


def describe_result(result: SegmentResult) -> str:
    """Return the result of a segment in a line: its name, metric with interval, gate and duration, or the reason."""
    parts, verdict = [result.title, str(result.state)], result.verdict
    if verdict is not None and verdict.value is not None:
        parts.append(f"{verdict.metric} {number(verdict.value)} {interval(verdict)}".rstrip())
    if verdict is not None and verdict.gate is not None:
        parts.append(f"gate {gate(verdict.gate, verdict.metric)}")
    parts += [seconds(result.seconds)] if result.seconds is not None else []
    return "  ".join([*parts, *([result.note] if result.note else [])])
