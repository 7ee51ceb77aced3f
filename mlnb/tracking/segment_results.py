"""The results of the models of many segments: one row each, for commands."""

from enum import StrEnum

from mlnb.codec import Record
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.tracking.run_results import Verdict, exit_code, verdict

LONGEST_NOTE = 200  # characters of the reason why a segment has no result


class SegmentState(StrEnum):
    """What became of a segment."""

    FINISHED = "finished"
    REUSED = "reused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    WAITING = "not started"


class SegmentResult(Record, frozen=True, kw_only=True):
    """The result of one segment.

    Args:
        segment: Its name; empty for the rows without a value.
        state: What became of it.
        rows: Number of its rows; None where that is not known.
        run: Id of its run; empty without one.
        seconds: Duration of the run.
        verdict: Metric with interval, and gate; None without a run.
        note: Why it has no result.
        code: Exit code: 0 for a result, and for a segment that is skipped.
    """

    segment: str
    state: SegmentState
    rows: int | None = None
    run: str = ""
    seconds: float | None = None
    verdict: Verdict | None = None
    note: str = ""
    code: int = 0

    @property
    def title(self) -> str:
        """The name as it is shown."""
        return self.segment or "(no value)"


def run_result(run: Run, rows: int | None = None, reused: bool = False) -> SegmentResult:
    """Return the result of a segment's run.

    Args:
        run: A run that has ended.
        rows: Number of rows of the segment, if known.
        reused: Whether the run is an earlier one, as nothing has changed since.
    """
    record, failure = run.record, run.record.failure
    state = {RunState.FINISHED: SegmentState.FINISHED, RunState.INTERRUPTED: SegmentState.INTERRUPTED}.get(
        record.state, SegmentState.FAILED
    )
    note = ""
    if state == SegmentState.FAILED and failure is not None:
        note = f"stage {failure.stage}: {' '.join(failure.message.split())}"
    if rows is None and "validate" in run.stages:
        counted = run.stages["validate"].metrics.get("rows")
        rows = None if counted is None else int(counted)
    return SegmentResult(
        segment=record.segment,
        state=SegmentState.REUSED if reused else state,
        rows=rows,
        run=run.id,
        seconds=record.seconds,
        verdict=verdict(run),
        note=note if len(note) <= LONGEST_NOTE else f"{note[: LONGEST_NOTE - 1]}…",
        code=exit_code(record),
    )
