"""The results of many models as a table, then a line with the number of each outcome."""

from collections import Counter
from collections.abc import Sequence

from mlnb.api.segment_comparison import SegmentComparison, comparison_rows, recommendation
from mlnb.cli.text_tables import shorten, table
from mlnb.reports import formatting
from mlnb.tracking.segment_results import SegmentResult

WIDEST_NOTE = 120  # characters


def segment_table(column: str, results: Sequence[SegmentResult]) -> str:
    """Return one line for each segment, the reasons of those without a result, and the counts.

    A run is named by the end of its id, which `mlnb show` takes.

    Args:
        column: The column of the segments, or the pattern of their files.
        results: One for each segment.
    """
    metrics = {one.verdict.metric for one in results if one.verdict and one.verdict.metric}
    name = next(iter(metrics)) if len(metrics) == 1 else "metric"
    heads = ["segment", "rows", name, "interval", "gate", "state", "seconds", "run"]
    rows = [_row(one, name) for one in results]
    lines = ["", table(heads, rows, right=("rows", name, "seconds"), whole=("run",))]
    noted = [one for one in results if one.note]
    lines += [""] * bool(noted) + [f"  {one.title}: {one.state}, {shorten(one.note, WIDEST_NOTE)}" for one in noted]
    counts = Counter(one.state for one in results)
    summary = ", ".join(f"{number} {state}" for state, number in counts.items())
    return "\n".join([*lines, "", f"{formatting.count(len(results), 'segment')} of {column}: {summary}"])


def comparison_table(run: str, comparison: SegmentComparison) -> str:
    """Return the comparison of the models of segments with a global one, and which to use.

    Args:
        run: Id of the run of the global model.
        comparison: From `compare_segments`.
    """
    metric = comparison.total.difference.metric if comparison.total.difference else "metric"
    heads = ["segment", "held-out", "global", "own", "difference", "interval", "better"]
    text = table(heads, comparison_rows(comparison), right=("held-out", "global", "own", "difference"))
    title = f"{metric} of the global model (run {run}) and of the models of the segments, on the same held-out rows:"
    return f"\n{title}\n\n{text}\n\n{recommendation(comparison)}"


def _row(one: SegmentResult, metric: str) -> list[str]:
    verdict = one.verdict
    gate = formatting.gate(verdict.gate, verdict.metric) if verdict else ""
    value = formatting.number(verdict.value) if verdict and verdict.value is not None else ""
    if value and verdict and verdict.metric != metric:
        value = f"{verdict.metric} {value}"
    interval = formatting.interval(verdict) if verdict else ""
    rows = "" if one.rows is None else f"{one.rows:,}"
    seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
    return [one.title, rows, value, interval, gate, str(one.state), seconds, one.run.rpartition("-")[2]]
