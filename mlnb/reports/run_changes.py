"""The change from the run of one revision to that of another: metrics, threshold, gate, fairness, size, findings."""

from collections.abc import Sequence

from mlnb.codec import Record
from mlnb.engine.runs import Run
from mlnb.methods.contracts.decisions import FittedDecision
from mlnb.methods.contracts.evaluations import Estimate, FairnessAssessment, Metrics
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.contracts.gates import Gate, GateLine
from mlnb.registry.version_comparison import MetricDifference, run_difference
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_findings, load_record

DOUBTS = ("error", "warning")  # severities of the findings that are compared
NONE = Estimate(value=None)


class ChangedNumber(Record, frozen=True, kw_only=True):
    """A number of both runs, each with its interval where it has one.

    Args:
        name: such as roc_auc.
        base, head: the estimates; without a value where a run has none.
        unit: "", "bytes" or "ms".
        decides: whether it is the deciding metric.
        limit: the maximum that the contract allows; None without one.
    """

    name: str
    base: Estimate
    head: Estimate
    unit: str = ""
    decides: bool = False
    limit: float | None = None


class ChangedCheck(Record, frozen=True, kw_only=True):
    """A line of the gate whose result or requirement differs; None where a run does not have it."""

    check: str
    base: GateLine | None
    head: GateLine | None


class RunChanges(Record, frozen=True, kw_only=True):
    """What differs between the results of two runs.

    Args:
        metrics: test metrics, the deciding one first.
        difference: of the deciding metric, on the same test rows; None without one.
        why: why there is no difference; empty otherwise.
        numbers: decision threshold, size and latency.
        gate: the lines of the gate that differ.
        fairness: the largest difference between groups, by protected column.
        new_findings: errors and warnings that the second run alone has.
        resolved_findings: those that the first run alone has.
    """

    metrics: list[ChangedNumber]
    difference: MetricDifference | None
    why: str
    numbers: list[ChangedNumber]
    gate: list[ChangedCheck]
    fairness: list[ChangedNumber]
    new_findings: list[Finding]
    resolved_findings: list[Finding]


def compare_results(base: Run, head: Run) -> RunChanges:
    """Return what differs between the results of two runs."""
    tests = load_record(base, "metrics", Metrics), load_record(head, "metrics", Metrics)
    gap = run_difference(base, head)
    findings = (
        [one for one in load_findings(base) if one.severity in DOUBTS],
        [one for one in load_findings(head) if one.severity in DOUBTS],
    )
    return RunChanges(
        metrics=_metrics(*tests),
        difference=None if isinstance(gap, str) else gap,
        why=gap if isinstance(gap, str) else "",
        numbers=_numbers(base, head, *tests),
        gate=_gate(load_record(base, "gate", Gate), load_record(head, "gate", Gate)),
        fairness=_fairness(*tests),
        new_findings=_without(findings[1], findings[0]),
        resolved_findings=_without(findings[0], findings[1]),
    )


def gate_result(run: Run) -> bool | None:
    """Return whether the gate of a run passed; None when its pipeline has none."""
    if run.record.failed_gate:
        return False
    gate = load_record(run, "gate", Gate)
    return gate.passed if gate else None


def _metrics(base: Metrics | None, head: Metrics | None) -> list[ChangedNumber]:
    columns = [test.estimates() if test else {} for test in (base, head)]
    deciding = {test.deciding.name for test in (base, head) if test}
    names = dict.fromkeys(name for column in columns for name in column)
    pairs = [(name, columns[0].get(name, NONE), columns[1].get(name, NONE)) for name in names]
    return [
        ChangedNumber(name=name, base=_plain(a), head=_plain(b), decides=name in deciding)
        for name, a, b in pairs
        if name in deciding or a.value != b.value
    ]


def _plain(estimate: Estimate) -> Estimate:
    """Return an estimate without what a subclass adds."""
    return Estimate(value=estimate.value, low=estimate.low, high=estimate.high)


def _numbers(base: Run, head: Run, first: Metrics | None, second: Metrics | None) -> list[ChangedNumber]:
    thresholds = [_threshold(run) for run in (base, head)]
    sizes = [test.model_bytes if test else None for test in (first, second)]
    logged = [run_results.metrics(run) for run in (base, head)]
    median, slow = (
        [numbers.get(f"evaluate.{name}") for numbers in logged] for name in ("latency_ms", "latency_p95_ms")
    )
    rows: list[tuple[str, Sequence[float | None], str]] = [
        ("decision threshold", thresholds, ""),
        ("model size", sizes, "bytes"),
        ("latency, median", median, "ms"),
        ("latency, 95th percentile", slow, "ms"),
    ]
    return [
        ChangedNumber(name=name, base=Estimate(value=values[0]), head=Estimate(value=values[1]), unit=unit)
        for name, values, unit in rows
        if any(value is not None for value in values)
    ]


def _threshold(run: Run) -> float | None:
    fitted = load_record(run, "decision", FittedDecision)
    return fitted.decision.threshold if fitted else None


def _gate(base: Gate | None, head: Gate | None) -> list[ChangedCheck]:
    old, new = ({line.check: line for line in gate.lines} if gate else {} for gate in (base, head))
    return [
        ChangedCheck(check=check, base=old.get(check), head=new.get(check))
        for check in dict.fromkeys([*new, *old])
        if _state(old.get(check)) != _state(new.get(check))
    ]


def _state(line: GateLine | None) -> tuple[str, str] | None:
    return None if line is None else (line.mark, line.required)


def _fairness(base: Metrics | None, head: Metrics | None) -> list[ChangedNumber]:
    old, new = (
        {f"{one.column}: {one.measure}": one for one in (test.fairness if test else ())} for test in (base, head)
    )
    return [
        ChangedNumber(
            name=name,
            base=_group_difference(old.get(name)),
            head=_group_difference(new.get(name)),
            limit=_limit(new, name),
        )
        for name in dict.fromkeys([*new, *old])
    ]


def _limit(assessments: dict[str, FairnessAssessment], name: str) -> float | None:
    return assessments[name].limit if name in assessments else None


def _group_difference(assessment: FairnessAssessment | None) -> Estimate:
    return _plain(assessment.difference) if assessment else NONE


def _without(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Return the findings whose check, severity and column no other finding has."""
    existing = {(one.check, one.severity, one.column) for one in others}
    return [one for one in findings if (one.check, one.severity, one.column) not in existing]
