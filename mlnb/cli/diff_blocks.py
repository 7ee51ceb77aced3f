"""The parts of a diff of two revisions in the order in which they are shown, for any format."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlnb.cli.revision_diff import ComparedRevision, RevisionDiff
from mlnb.methods.contracts.evaluations import Estimate
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.contracts.gates import GateLine
from mlnb.registry.version_comparison import MetricDifference
from mlnb.reports import formatting
from mlnb.reports.run_changes import ChangedNumber, RunChanges
from mlnb.tracking.cell_changes import ChangedCell, ChangedLine

CONTEXT = 3  # unchanged lines around a changed one
MOST_LINES = 40  # of a cell
MOST_ROWS = 40  # of a table
GATES = {
    "passed": "The gate passed.",
    "failed": "The gate failed.",
    "unlabeled": "The gate has no result: no row has a label, so the accuracy of the alerts is unknown.",
    "none": "The pipeline has no gate.",
    "unknown": "The gate is unknown: the second revision has no run.",
}
STAGES = {
    "runs": "Stages with other inputs in the two runs:",
    "plan": "Stages that `mlnb run` would run, by the plan of what is checked out:",
    "notebooks": "Stages whose notebooks differ, and those after them; what they import is not compared:",
}


@dataclass(frozen=True)
class Heading:
    """The heading of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A text of mlnb, which may contain Markdown code, and values from elsewhere that follow it, shown as they are."""

    text: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rows:
    """A table; the cells of the columns in `numbers` are texts of mlnb, all others are values from elsewhere.

    In a narrow terminal, the columns in `whole` are not cut, and those in `optional` are left out first.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class CellDiff:
    """The lines of a cell that differ, with some around them."""

    title: str
    lines: tuple[str, ...]


Block = Heading | Paragraph | Rows | CellDiff


def diff_blocks(diff: RevisionDiff) -> list[Block]:
    """Return the parts of a diff: gate and runs first, cells last."""
    blocks: list[Block] = [Paragraph(GATES[diff.gate]), _revisions(diff)]
    for revision in (diff.base, diff.head):
        if revision.run is None:
            blocks.append(Paragraph("No run of this revision is in the project; make one:", (revision.make_run,)))
    if diff.results is not None:
        blocks += _result_blocks(diff.results)
    elif diff.head.run is not None and diff.head.run == diff.base.run:
        blocks.append(Paragraph("Both revisions have the same run, so that no result differs."))
    blocks += _stage_blocks(diff)
    return blocks + _notebook_blocks(diff)


def _revisions(diff: RevisionDiff) -> Rows:
    rows = [
        (which, one.name, one.run or "no run", *_verdict(one))
        for which, one in (("base", diff.base), ("head", diff.head))
    ]
    heads = ("", "revision", "run", "winner", "metric", "test", "gate")
    return Rows(heads, tuple(rows), ("", "test", "gate"), ("run",), ("winner", "metric"))


def _verdict(revision: ComparedRevision) -> tuple[str, str, str, str]:
    result = revision.verdict
    if result is None:
        return "", "", "", ""
    value = (
        f"{formatting.number(result.value)} {formatting.interval(result)}".strip() if result.value is not None else ""
    )
    gate = formatting.gate(result.gate, result.metric)
    return result.winner or "", formatting.metric(result.metric) if result.metric else "", value, gate


def _result_blocks(results: RunChanges) -> list[Block]:
    blocks: list[Block] = []
    numbers = [(formatting.metric(one.name), one) for one in results.metrics]
    numbers += [(one.name, one) for one in results.numbers]
    if numbers:
        blocks.append(Heading("Results"))
        blocks.append(
            Rows(
                ("number", "base", "head", "change"),
                tuple(
                    (name, _estimate(one, one.base), _estimate(one, one.head), _change(one)) for name, one in numbers
                ),
                ("base", "head", "change"),
            )
        )
    if results.difference is not None:
        blocks.append(Paragraph(*_difference(results.difference)))
    elif results.metrics:
        blocks.append(Paragraph("No confidence interval of the difference:", (results.why,)))
    if any(one.unit == "ms" for one in results.numbers):
        blocks.append(Paragraph("Latency is that of the machine of each run, and varies with its load."))
    if results.gate:
        rows = tuple((one.check, _gate_line(one.base), _gate_line(one.head)) for one in results.gate)
        blocks += [Heading("Gate lines that changed"), Rows(("check", "base", "head"), rows)]
    if results.fairness:
        fairness = tuple(
            (one.name, _estimate(one, one.base), _estimate(one, one.head), _change(one), formatting.number(one.limit))
            for one in results.fairness
        )
        heads = ("largest difference between groups", "base", "head", "change", "limit")
        blocks += [Heading("Fairness"), Rows(heads, fairness, heads[1:])]
    for title, findings in (("New", results.new_findings), ("Resolved", results.resolved_findings)):
        if findings:
            blocks += [Heading(f"{title} findings about the data"), _findings(findings)]
    return blocks


def _difference(gap: MetricDifference) -> tuple[str, tuple[str, ...]]:
    better = "larger" if gap.direction == "maximize" else "smaller"
    return (
        f"Head minus base: {formatting.number(gap.value)} {formatting.interval(gap)}, "
        f"95 % interval on the same {formatting.count(gap.rows, 'test row')} ({better} is better); head is better in "
        f"{gap.second_better:.0%} of the resamples. Deciding metric:",
        (formatting.metric(gap.metric),),
    )


def _estimate(number: ChangedNumber, estimate: Estimate) -> str:
    if number.unit == "bytes":
        return formatting.size(estimate.value)
    unit = f" {number.unit}" if number.unit and estimate.value is not None else ""
    return f"{formatting.number(estimate.value)}{unit} {formatting.interval(estimate)}".strip()


def _change(number: ChangedNumber) -> str:
    before, after = number.base.value, number.head.value
    if before is None or after is None:
        return "–"
    if number.unit:
        return f"{(after / before - 1) * 100:+.0f} %".replace("-", "−") if before else "–"
    sign = "+" if after > before else ""
    return sign + formatting.number(after - before)


def _gate_line(line: GateLine | None) -> str:
    return "–" if line is None else f"{line.mark}  {line.found} (required: {line.required})"


def _findings(findings: Sequence[Finding]) -> Rows:
    rows = tuple((one.severity, one.check, one.column or "table", one.message) for one in findings)
    return Rows(("severity", "check", "column", "message"), rows)


def _stage_blocks(diff: RevisionDiff) -> list[Block]:
    if not diff.stages_by:
        return [
            Heading("Stages"),
            Paragraph("Unknown: a notebook breaks the contract of stage notebooks; `mlnb check`."),
        ]
    if not diff.stages:
        return [Heading("Stages"), Paragraph("No stage is invalidated.")]
    rows = tuple((one.stage, one.reason) for one in diff.stages)
    return [Heading("Invalidated stages"), Paragraph(STAGES[diff.stages_by]), Rows(("stage", "reason"), rows)]


def _notebook_blocks(diff: RevisionDiff) -> list[Block]:
    blocks: list[Block] = []
    if diff.files:
        blocks += [Heading("Other files that differ"), Rows(("file",), tuple((name,) for name in diff.files))]
    blocks.append(Heading("Changed cells"))
    if not diff.notebooks:
        blocks.append(Paragraph("No code cell of a notebook differs."))
    for notebook in diff.notebooks:
        counts = ", ".join(
            f"{sum(cell.change == change for cell in notebook.cells)} {change}"
            for change in ("changed", "added", "removed")
            if any(cell.change == change for cell in notebook.cells)
        )
        text = f"Notebook {notebook.change}" + (f", cells: {counts}:" if counts else ":")
        blocks.append(Paragraph(text, tuple(filter(None, (notebook.path, notebook.note)))))
        if notebook.change in ("changed", "renamed"):
            blocks += [CellDiff(_title(cell), _hunks(cell.lines)) for cell in notebook.cells]
    return blocks


def _title(cell: ChangedCell) -> str:
    return f"{cell.change}: {cell.heading}" if cell.heading else cell.change


def _hunks(lines: Sequence[ChangedLine]) -> tuple[str, ...]:
    """Return the changed lines of a cell with the lines around them; a line of dots stands for those left out."""
    changed = [index for index, line in enumerate(lines) if line.sign != " "]
    near = {index + offset for index in changed for offset in range(-CONTEXT, CONTEXT + 1)}
    shown, skipped = list[str](), False
    for index, line in enumerate(lines):
        if index not in near:
            skipped = True
            continue
        shown += ["  …"] if skipped else []
        shown.append(f"{line.sign}{line.text}")
        skipped = False
    if len(shown) > MOST_LINES:
        shown = [*shown[:MOST_LINES], f"  … {formatting.count(len(shown) - MOST_LINES, 'more line')}"]
    return tuple(shown)
