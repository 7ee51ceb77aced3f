"""Typed views of JSON artifacts: the fields that trackers, reports and commands read; other fields are ignored."""

from typing import Any, TypeVar

from msgspec import field

from mlnb.codec import R, Record, convert
from mlnb.engine.files import warn_damaged
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError, StoreCorrupted


class View(Record, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Base of all views: unknown fields are ignored."""


V = TypeVar("V", bound=View)


class Estimate(View, frozen=True, kw_only=True):
    """A value with the ends of its interval, where it has one."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class NamedEstimate(Estimate, frozen=True, kw_only=True):
    """An estimate of a metric."""

    name: str


class BestTrial(View, frozen=True, kw_only=True):
    """Artifact `best`: the family and hyperparameters that won the search."""

    family: str
    metric: str | None = None
    score: float | None = None
    params: dict[str, Any] = field(default_factory=dict)


class CertificateView(View, frozen=True, kw_only=True):
    """Artifact `certificate`: the bento and model, and the number of rows whose responses were verified over HTTP."""

    bento: str
    model: str = ""
    rows: int = 0
    identical: bool = False


class Trial(View, frozen=True, kw_only=True):
    """One trial of a hyperparameter search; `params` is a JSON object as text."""

    number: int
    family: str | None = None
    state: str = "complete"
    score: float | None = None
    params: str | None = None


class Reason(View, frozen=True, kw_only=True):
    """One reason of a monitoring verdict, with the outcome that it asks for."""

    outcome: str
    text: str


class MonitoringWindow(View, frozen=True, kw_only=True):
    """The window of a monitoring run: its rows, its end in seconds since 1970, and the model version."""

    rows: int
    until: float
    version: str


class MonitoringVerdict(View, frozen=True, kw_only=True):
    """Artifact `verdict` of the monitoring pipeline: keep, watch, retrain or roll back."""

    outcome: str
    reasons: tuple[Reason, ...]
    window: MonitoringWindow


class Performance(View, frozen=True, kw_only=True):
    """Artifact `performance`: the metric in the window (None before labels are known) and on the test set."""

    reference: NamedEstimate
    now: Estimate | None = None


class ColumnDrift(View, frozen=True, kw_only=True):
    """The drift of one column: effect size, shares of missing values, and whether it is significant and relevant."""

    column: str
    missing_before: float
    missing_after: float
    drifted: bool
    effect: float | None = None


def load_record(run: Run, artifact: str, kind: type[R]) -> R | None:
    """Return a typed record; None when the run has none of that name, and with a warning when it is damaged."""
    if not run.has(artifact):
        return None
    try:
        return run.load(artifact, kind)
    except (StoreCorrupted, SchemaError) as error:
        if isinstance(error, SchemaError) and load_optional(run, artifact) is None:  # the stage had nothing to save
            return None
        warn_unusable(run, artifact, error)
        return None


def load_view(run: Run, artifact: str, kind: type[V]) -> V | None:
    """Return a view of a JSON artifact; None when the run has none, and with a warning when it is damaged."""
    value = load_optional(run, artifact)
    try:
        return None if value is None else convert(value, kind, f"artifact {artifact!r} of run {run.id}")
    except SchemaError as error:
        warn_unusable(run, artifact, error)
        return None


def load_views(run: Run, artifact: str, kind: type[V]) -> list[V]:
    """Return views of a JSON list; empty when the run has no such artifact, and with a warning when it is damaged."""
    try:
        return convert(load_optional(run, artifact) or [], list[kind], f"artifact {artifact!r} of run {run.id}")  # type: ignore[valid-type]
    except SchemaError as error:
        warn_unusable(run, artifact, error)
        return []


def load_optional(run: Run, artifact: str) -> Any:
    """Return an artifact; None when the run has none of that name, and with a warning when it is damaged."""
    if not run.has(artifact):
        return None
    try:
        return run.load(artifact)
    except (StoreCorrupted, SchemaError) as error:
        warn_unusable(run, artifact, error)
        return None


def warn_unusable(run: Run, artifact: str, error: Exception) -> None:
    """Warn that an artifact is damaged or missing, and that it is left out; all missing ones share one warning."""
    if isinstance(error.__cause__, FileNotFoundError):
        store = run.project.store_root
        warn_damaged(f"Artifacts of runs are missing in {store} and are left out; `mlnb run` makes them again.")
    else:
        warn_damaged(f"Artifact {artifact!r} of run {run.id} is left out: {error}")
