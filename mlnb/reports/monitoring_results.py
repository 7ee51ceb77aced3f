"""The results of the monitoring runs of a project."""

from mlnb.codec import Record
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError
from mlnb.methods.contracts.evaluations import DecidingMetric
from mlnb.methods.contracts.monitoring_records import (
    ColumnDrift,
    DriftReport,
    MonitoringVerdict,
    Outcome,
    Performance,
    WindowScore,
)
from mlnb.tracking.artifact_views import load_record

NEWEST = 40  # results that are shown
PIPELINE = "monitor"


class MonitoringResult(Record, frozen=True, kw_only=True):
    """What one monitoring run found.

    Args:
        run: Id of the run.
        version: The model version, as `model:tag`.
        rows: Number of rows in the window.
        until: End of the window in seconds since 1970.
        outcome: keep, watch, retrain or roll back.
        reasons: Why.
        reference: The metric on the test set.
        now: The metric in the window; None before labels are known.
        drift: The drift of predictions and of each column.
    """

    run: str
    version: str
    rows: int
    until: float
    outcome: Outcome
    reasons: tuple[str, ...]
    reference: DecidingMetric
    now: WindowScore | None = None
    drift: tuple[ColumnDrift, ...] = ()

    @property
    def value(self) -> float | None:
        """The metric in the window, or None."""
        return self.now.value if self.now else None


def find_results(project: Project) -> list[MonitoringResult]:
    """Return the results of the newest finished monitoring runs, oldest first."""
    results: list[MonitoringResult] = []
    for run in runs.list_runs(project):
        if run.record.pipeline == PIPELINE and run.state == RunState.FINISHED and run.has("verdict"):
            results.append(read_result(run))
        if len(results) == NEWEST:
            break
    return sorted(results, key=lambda result: result.until)


def read_result(run: Run) -> MonitoringResult:
    """Return what a finished monitoring run found. Raises `SchemaError` when its artifacts cannot be read."""
    verdict = load_record(run, "verdict", MonitoringVerdict)
    performance = load_record(run, "performance", Performance)
    drift = load_record(run, "drift", DriftReport)
    if verdict is None or performance is None:
        raise SchemaError(f"The artifacts of run {run.id} cannot be read; repeat it: `mlnb monitor`.")
    return MonitoringResult(
        run=run.id,
        version=verdict.window.version,
        rows=verdict.window.rows,
        until=verdict.window.until,
        outcome=verdict.outcome,
        reasons=tuple(reason.text for reason in verdict.reasons),
        reference=performance.reference,
        now=performance.now,
        drift=drift.columns if drift else (),
    )
