"""The models of segments compared with one global model on the same held-out rows, for each segment and in all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlnb.codec import Record
from mlnb.engine.runs import Run
from mlnb.errors import DataError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.registry.model_versions import ProblemSummary, summarize_problem
from mlnb.registry.version_comparison import MetricDifference, paired_difference
from mlnb.reports import formatting

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("test_rows", "predictions", "contract")  # artifacts of a run that is compared
NAMED = 5  # segments that the recommendation names


class SegmentDifference(Record, frozen=True, kw_only=True):
    """How much better the model of a segment is than the global one.

    Args:
        segment: The segment; empty for all of them together.
        difference: Of the deciding metric, from the global model to that of the segment; None where the metric is
            undefined on the held-out rows.
    """

    segment: str
    difference: MetricDifference | None

    @property
    def sign(self) -> int:
        """1 when the segment's model is better with the whole interval, -1 when the global one is, else 0."""
        one = self.difference
        if one is None:
            return 0
        low, high = (one.low, one.high) if one.direction == "maximize" else (-one.high, -one.low)
        return (low > 0) - (high < 0)


class SegmentComparison(Record, frozen=True, kw_only=True):
    """The differences of the segments, and that of all held-out rows together."""

    segments: tuple[SegmentDifference, ...]
    total: SegmentDifference


def compare_segments(whole: Run, runs: Sequence[Run]) -> SegmentComparison:
    """Return the comparison of a global model with the models of segments.

    Args:
        whole: The run of the global model, whose held-out rows are those of all segments.
        runs: The runs of the segments that were evaluated.

    Raises:
        DataError: The rows cannot be compared: other held-out rows, or a task whose rows depend on each other.
    """
    import pandas as pd

    problem, everything = summarize_problem(check_task(whole)), _predictions(whole)
    pairs: list[tuple[pd.DataFrame, pd.DataFrame]] = []
    segments = []
    for run in runs:
        own = _predictions(run)
        shared = everything.reindex(own.index)
        if not (shared["truth"] == own["truth"]).all():
            raise DataError(f"run {run.id} of {run.record.segment!r} has other held-out rows than run {whole.id}")
        pairs.append((shared, own))
        segments.append(SegmentDifference(segment=run.record.segment, difference=_difference(problem, shared, own)))
    both = (pd.concat(tables) for tables in zip(*pairs, strict=True))
    return SegmentComparison(
        segments=tuple(segments), total=SegmentDifference(segment="", difference=_difference(problem, *both))
    )


def check_task(run: Run) -> ProblemContract:
    """Return the problem contract of a run. Raises `DataError` where its rows depend on each other."""
    contract = run.load("contract", ProblemContract)
    if not traits_of(contract.task).independent_rows:
        raise DataError(
            f"the task {contract.task} has no independent rows that could be resampled in pairs, so models cannot be "
            "compared with a global one; leave out --with-global"
        )
    return contract


def recommendation(comparison: SegmentComparison) -> str:
    """Return in a sentence which models to use."""
    total, better = comparison.total, [one.segment for one in comparison.segments if one.sign > 0]
    named = ", ".join(better[:NAMED]) + (f" and {len(better) - NAMED} more" if len(better) > NAMED else "")
    count = f"{len(comparison.segments)} segments"
    if total.sign > 0:
        worse = sum(one.sign < 0 for one in comparison.segments)
        text = f"Use one model for each segment: in all they are clearly better than the global model, in {named}"
        text = text.removesuffix(", in ") + f"; clearly worse in {worse} of {count}."
        return text
    reason = (
        "it is clearly better in all" if total.sign < 0 else "no difference in all is clear, and one model is simpler"
    )
    text = f"Use the global model: {reason}."
    return f"{text} Only in {named} the model of the segment is clearly better." if better else text


def comparison_rows(comparison: SegmentComparison) -> list[list[str]]:
    """Return a row for each segment and one for all: held-out rows, both scores, difference, interval, better one."""
    words = {1: "segment", -1: "global", 0: "not clear"}
    rows = []
    for one in (*comparison.segments, comparison.total):
        title, difference = one.segment or "in all", one.difference
        if difference is None:
            rows.append([title, "", "", "", "", "", "undefined"])
            continue
        scores = [formatting.number(score) for score in difference.scores]
        interval = f"[{formatting.number(difference.low)}, {formatting.number(difference.high)}]"
        rows.append(
            [title, f"{difference.rows:,}", *scores, formatting.number(difference.value), interval, words[one.sign]]
        )
    return rows


def is_comparable(run: Run) -> bool:
    """Return whether a run has what is compared."""
    return all(run.has(artifact) for artifact in NEEDED)


def _predictions(run: Run) -> "pd.DataFrame":
    """Return the predictions of the held-out rows by the number of the row in the table."""
    predictions: pd.DataFrame = run.load("predictions")
    return predictions.set_axis(run.load("test_rows"), axis=0)


def _difference(problem: ProblemSummary, one: "pd.DataFrame", other: "pd.DataFrame") -> MetricDifference | None:
    import numpy as np

    result = paired_difference(problem, one, other)
    return result if np.isfinite([*result.scores, result.low, result.high]).all() else None
