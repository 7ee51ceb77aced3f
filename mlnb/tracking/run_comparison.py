"""Runs side by side: differing parameters, metrics and versions, and which stages made the same bytes."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.run_records import StageState
from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_record

Values = tuple[Any, ...]  # the value of each run; None where a run has none


class StageComparison(Record, frozen=True, kw_only=True):
    """A stage of several runs: whether the outputs are the same bytes, and its state in each."""

    outputs: str
    states: tuple[str, ...]


class RunComparison(Record, frozen=True, kw_only=True):
    """What differs between runs, and how many test rows of each were opened before."""

    runs: tuple[str, ...]
    states: tuple[str, ...]
    verdicts: tuple[run_results.Verdict, ...]
    parameters: dict[str, Values] = field(default_factory=dict)
    metrics: dict[str, Values] = field(default_factory=dict)
    versions: dict[str, Values] = field(default_factory=dict)
    stages: dict[str, StageComparison] = field(default_factory=dict)
    reuse: tuple[HoldoutReuse | None, ...] = ()


def compare_runs(*compared: Run) -> RunComparison:
    """Return what differs between two or more runs."""
    return RunComparison(
        runs=tuple(run.id for run in compared),
        states=tuple(str(run.state) for run in compared),
        verdicts=tuple(run_results.verdict(run) for run in compared),
        parameters=_differing([run_results.parameter_values(run) for run in compared]),
        metrics=_differing([all_metrics(run) for run in compared]),
        versions=_differing([run_results.versions(run) for run in compared]),
        reuse=tuple(_reuse(run) for run in compared),
        stages={name: _compare_stage(name, compared) for name in _names([run.stages for run in compared[::-1]])},
    )


def all_metrics(run: Run) -> dict[str, float | None]:
    """Return the logged numbers of a run and its test metrics, as `stage.name`."""
    test = load_record(run, "metrics", Metrics)
    standard = {f"evaluate.{name}": item.value for name, item in (test.estimates() if test else {}).items()}
    return {**run_results.metrics(run), **standard}


def _reuse(run: Run) -> HoldoutReuse | None:
    test = load_record(run, "metrics", Metrics)
    return test.reuse if test else None


def _names(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names that any of the mappings has, in their order."""
    return list(dict.fromkeys(name for column in columns for name in column))


def _differing(columns: Sequence[Mapping[str, Any]]) -> dict[str, Values]:
    values = {name: tuple(column.get(name) for column in columns) for name in _names(columns)}
    return {name: row for name, row in values.items() if any(value != row[0] for value in row[1:])}


def _compare_stage(name: str, compared: Sequence[Run]) -> StageComparison:
    records = [run.stages.get(name) for run in compared]
    digests = [{key: output.digest for key, output in r.outputs.items()} if r else {} for r in records]
    same = "the same" if all(digest == digests[0] for digest in digests) else "differ"
    states = [
        "not in this run"
        if r is None
        else f"reused from {r.from_run}"
        if r.state == StageState.REUSED
        else str(r.state)
        for r in records
    ]
    return StageComparison(outputs=same if all(digests) else "–", states=tuple(states))
