"""Artifacts of a run for trackers, reports and commands: typed records, and views of JSON that has none."""

from typing import Any, TypeVar

from msgspec import field

from mlnb.codec import R, Record, convert
from mlnb.engine.files import warn_damaged
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError, StoreCorrupted
from mlnb.methods.contracts.findings import Finding, FindingList


class View(Record, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Base of all views: unknown fields are ignored."""


V = TypeVar("V", bound=View)


class MemberView(View, frozen=True, kw_only=True):
    """A model of an ensemble: its family, and its weight in (0, 1]."""

    family: str
    weight: float = 1.0


class BestTrial(View, frozen=True, kw_only=True):
    """Artifact `best`: the family and hyperparameters that won the search, and the models of an ensemble."""

    family: str
    metric: str | None = None
    score: float | None = None
    params: dict[str, Any] = field(default_factory=dict)
    members: tuple[MemberView, ...] = ()

    def weights(self) -> dict[str, float]:
        """Return the weight of each family of an ensemble, the largest first; empty for a single model."""
        families = [one.family for one in self.members] if len(self.members) > 1 else []
        totals = {family: sum(one.weight for one in self.members if one.family == family) for family in families}
        return dict(sorted(totals.items(), key=lambda item: -item[1]))


class DataFindings(View, frozen=True, kw_only=True):
    """Findings in another artifact, `exploration` or `label_suspects`."""

    findings: tuple[Finding, ...] = ()


class Trial(View, frozen=True, kw_only=True):
    """One trial of a hyperparameter search; `params` is a JSON object as text."""

    number: int
    family: str | None = None
    state: str = "complete"
    score: float | None = None
    params: str | None = None


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


def load_findings(run: Run) -> list[Finding]:
    """Return the findings about the data from all stages of a run; no proposed split where one is stated."""
    audit = load_record(run, "findings", FindingList)
    others = [load_view(run, name, DataFindings) for name in ("exploration", "label_suspects")]
    findings = [finding for record in (audit, *others) if record is not None for finding in record.findings]
    return [one for one in findings if one.check != "split"] if _states_split(run) else findings


def _states_split(run: Run) -> bool:
    """Return whether the kind or a column of the split is stated, which `validate` does not read."""
    stage = run.record.stages.get("split")
    stated = {} if stage is None else stage.parameters
    return any(name in stated and stated[name].value not in ("", "auto") for name in ("kind", "group", "time"))


def load_view(run: Run, artifact: str, kind: type[V]) -> V | None:
    """Return a view of a JSON artifact; None when the run has none, and with a warning when it is damaged."""
    value = load_optional(run, artifact)
    try:
        return None if value is None else convert(value, kind, f"artifact {artifact!r} of run {run.id}")
    except SchemaError as error:
        warn_unusable(run, artifact, error)
        return None


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
