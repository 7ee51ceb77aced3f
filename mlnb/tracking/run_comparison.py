"""Two runs side by side: differing parameters, metrics and versions, and which stages made the same bytes."""

from typing import Any

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.run_records import StageState
from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_record

Pair = tuple[Any, Any]  # the values of the first and the second run; None where a run has none


class StageComparison(Record, frozen=True, kw_only=True):
    """A stage of two runs: whether the outputs are the same bytes, and its state in each."""

    outputs: str
    states: tuple[str, str]


class RunComparison(Record, frozen=True, kw_only=True):
    """What differs between two runs, and how many test rows of each were opened before."""

    runs: tuple[str, str]
    states: tuple[str, str]
    verdicts: tuple[run_results.Verdict, run_results.Verdict]
    parameters: dict[str, Pair] = field(default_factory=dict)
    metrics: dict[str, Pair] = field(default_factory=dict)
    versions: dict[str, Pair] = field(default_factory=dict)
    stages: dict[str, StageComparison] = field(default_factory=dict)
    reuse: tuple[HoldoutReuse | None, HoldoutReuse | None] = (None, None)


def compare_runs(first: Run, second: Run) -> RunComparison:
    """Return what differs between two runs."""
    parameters = [
        {name: parameter.value for name, parameter in run_results.parameters(run).items()} for run in (first, second)
    ]
    return RunComparison(
        runs=(first.id, second.id),
        states=(first.state, second.state),
        verdicts=(run_results.verdict(first), run_results.verdict(second)),
        parameters=_differing(*parameters),
        metrics=_differing(all_metrics(first), all_metrics(second)),
        versions=_differing(run_results.versions(first), run_results.versions(second)),
        reuse=(_reuse(first), _reuse(second)),
        stages={name: _compare_stage(name, first, second) for name in second.stages | first.stages},
    )


def all_metrics(run: Run) -> dict[str, float | None]:
    """Return the logged numbers of a run and its test metrics, as `stage.name`."""
    test = load_record(run, "metrics", Metrics)
    standard = {f"evaluate.{name}": item.value for name, item in (test.estimates() if test else {}).items()}
    return {**run_results.metrics(run), **standard}


def _reuse(run: Run) -> HoldoutReuse | None:
    test = load_record(run, "metrics", Metrics)
    return test.reuse if test else None


def _differing(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Pair]:
    names = list(first | second)
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}


def _compare_stage(name: str, first: Run, second: Run) -> StageComparison:
    records = [run.stages.get(name) for run in (first, second)]
    digests = [{key: output.digest for key, output in r.outputs.items()} if r else {} for r in records]
    same = "the same" if digests[0] == digests[1] else "differ"
    states = [
        "not in this run" if r is None else f"reused from {r.from_run}" if r.state == StageState.REUSED else r.state
        for r in records
    ]
    return StageComparison(outputs=same if all(digests) else "–", states=(states[0], states[1]))
