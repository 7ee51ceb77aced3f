"""All models of several projects at a glance: data, metric, drift, last check, alerts, age and owner."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from mlnb.codec import Record
from mlnb.dashboard.project_views import ProjectView
from mlnb.dashboard.registry_view import read_versions
from mlnb.dashboard.stage_timeline import moment
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run
from mlnb.errors import MlnbError, SchemaError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION
from mlnb.reports import formatting
from mlnb.reports.monitoring_results import PIPELINE, MonitoringResult, read_result
from mlnb.reports.timeline import SEVERITIES
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_record
from mlnb.tracking.run_table import short_data

ORDER = ("roll back", "retrain", "watch", "keep", "")  # outcomes, the most urgent first
STATES = {"keep": "passed", "watch": "warning", "act": "error", "": ""}


class ModelRow(NamedTuple):
    """A model: the version in production or the newest one, what is known of it, and its last monitoring result.

    Args:
        version: The version.
        champion: Whether it is the champion; otherwise it is the newest.
        data, target, owner: From its run; "" where the run is gone.
        run_url: Address of its run; "" where the run is gone.
        checked: When a monitoring run ended, as text; a dash without one.
        drift: Drifted columns of that run, as text.
        outcome: Its verdict; "" without one.
        state: The class that colors the verdict.
        reasons: Of the verdict.
        current: The metric in its window, as text.
        age: Time since the version was trained, as text.
    """

    view: ProjectView
    version: ModelVersion
    champion: bool
    data: str
    target: str
    owner: str
    run_url: str
    checked: str
    drift: str
    outcome: str
    state: str
    reasons: tuple[str, ...]
    current: str
    age: str


class Overview(Record, frozen=True, kw_only=True):
    """The models of all projects, those with alerts first, and a note for each project without a model."""

    rows: list[ModelRow]
    notes: list[str]

    @property
    def alerts(self) -> int:
        """Number of models whose last verdict is not keep."""
        return sum(row.outcome not in ("", "keep") for row in self.rows)


def overview(views: Iterable[ProjectView], now: datetime | None = None) -> Overview:
    """Return the models of projects; only the records of registered models and of monitoring runs are read."""
    now = now or datetime.now(UTC)
    rows: list[ModelRow] = []
    notes: list[str] = []
    for view in views:
        try:
            versions = read_versions(view.project)
        except MlnbError as error:
            notes.append(f"{view.name}: {error}")
            continue
        if not versions:
            notes.append(f"{view.name} has no registered model: `mlnb run` trains one and registers it.")
            continue
        chosen = shown(versions)
        checks = newest_checks(view, [version.metadata.certificate.model for version in chosen])
        rows += [_row(view, version, checks.get(version.metadata.certificate.model), now) for version in chosen]
    rows.sort(key=lambda row: (ORDER.index(row.outcome), row.view.name, row.version.model))
    return Overview(rows=rows, notes=notes)


def shown(versions: Sequence[ModelVersion]) -> list[ModelVersion]:
    """Return one version of each model: the champion, else the newest."""
    chosen: dict[str, ModelVersion] = {}
    for version in versions:
        if version.model not in chosen or CHAMPION not in chosen[version.model].aliases:
            chosen[version.model] = version
    return list(chosen.values())


def newest_checks(view: ProjectView, versions: Sequence[str]) -> dict[str, Run]:
    """Return the newest finished monitoring run of each version that has one.

    Args:
        view: The project; of its monitoring runs, the newest are read until each version has one.
        versions: The versions, as `model:tag`.
    """
    checks: dict[str, Run] = {}
    wanted = set(versions)
    for name in view.run_names(f"*-{PIPELINE}-*"):
        if not wanted:
            break
        run = _readable(view, name)
        if run is None or run.record.pipeline != PIPELINE or run.state != RunState.FINISHED or not run.has("verdict"):
            continue
        version = run_results.parameter_values(run).get("monitor.version")
        if version in wanted:
            wanted.remove(version)
            checks[version] = run
    return checks


def _row(view: ProjectView, version: ModelVersion, check: Run | None, now: datetime) -> ModelRow:
    run, result = _readable(view, version.run), _result(check)
    contract = load_record(run, "contract", ProblemContract) if run else None
    values = run_results.parameter_values(run) if run else {}
    finished = moment(version.metadata.finished)
    until = result.until if result else None
    outcome = result.outcome if result else ""
    drifted = sum(column.drifted for column in result.drift) if result else 0
    return ModelRow(
        view=view,
        version=version,
        champion=CHAMPION in version.aliases,
        data=short_data(values.get("ingest.data")),
        target=str(version.metadata.problem.target or ""),
        owner=contract.owner if contract else "",
        run_url=view.run_url(run) if run else "",
        checked=formatting.minute(until) if until is not None else "–",
        drift=f"{drifted} of {formatting.count(len(result.drift), 'column')}" if result and result.drift else "–",
        outcome=outcome,
        state=STATES[SEVERITIES[outcome] if outcome else ""],
        reasons=result.reasons if result else (),
        current=f"{formatting.number(result.value)} {formatting.interval(result.now)}" if result and result.now else "",
        age=formatting.age((now - finished).total_seconds() if finished else None),
    )


def _readable(view: ProjectView, name: str) -> Run | None:
    """Return the run with an id; None when there is none, or its record is damaged."""
    try:
        return view.run(name)
    except SchemaError:  # its page reports what is damaged
        return None


def _result(check: Run | None) -> MonitoringResult | None:
    try:
        return read_result(check) if check else None
    except SchemaError:
        return None
