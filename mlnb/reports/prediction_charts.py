"""Calibration and threshold curves of the test predictions of one run, or of several in one chart."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from mlnb.engine.runs import Run
from mlnb.methods.contracts.decisions import FittedDecision
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.reports.charts import Chart, Series
from mlnb.tracking.artifact_views import load_record
from mlnb.tracking.run_results import read_columns

if TYPE_CHECKING:
    import numpy as np

BINS = 10  # of a calibration curve
FEWEST = 5  # rows of a bin that has a point
STEP = 0.02  # between the thresholds of a curve
LISTED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # thresholds of the table


class ScoredRows(NamedTuple):
    """The test rows of a run.

    Args:
        truth: 1 for rows of the positive class, else 0; of a regression the true values (n,).
        score: Probability of the positive class, or the predicted value (n,).
        positive: Name of the positive class; of a regression empty.
        target: Name of the target.
        threshold: Probability from which the positive class is predicted.
        costs: Cost by true and predicted class (2, 2); None: not stated.
    """

    truth: "np.ndarray"
    score: "np.ndarray"
    positive: str
    target: str
    threshold: float
    costs: tuple[tuple[float, ...], ...] | None


class ThresholdRow(NamedTuple):
    """What a threshold means on the test rows; `chosen` is that of the model. A ratio of nothing is None."""

    threshold: float
    predicted: float
    precision: float | None
    recall: float | None
    f1: float | None
    cost: float | None
    chosen: bool


def read_scored(run: Run) -> ScoredRows | None:
    """Return the test rows of a run with two classes or a number as target; None for others and without predictions."""
    import numpy as np

    contract = load_record(run, "contract", ProblemContract)
    traits = traits_of(contract.task) if contract else None
    if contract is None or traits is None or not traits.independent_rows or traits.classes == "several":
        return None
    positive = contract.classes[1] if contract.classes else ""
    columns = read_columns(run, "predictions", ("truth", score := f"p {positive}" if positive else "prediction"))
    if len(columns) < 2 or not len(columns["truth"]):
        return None
    scores = np.array(columns[score], dtype=float)
    if not positive:
        return ScoredRows(np.array(columns["truth"], dtype=float), scores, "", contract.target or "", 0.5, None)
    truth = np.array([str(value) == positive for value in columns["truth"]], dtype=float)
    fitted = load_record(run, "decision", FittedDecision)
    threshold = fitted.decision.threshold if fitted else None
    return ScoredRows(truth, scores, positive, contract.target or "", threshold or 0.5, contract.costs)


def calibration_chart(runs: Sequence[tuple[str, ScoredRows]]) -> Chart | None:
    """Return the observed share of the positive class, or the mean true value, by the prediction; None without rows.

    Args:
        runs: A label and the test rows of each run; of one kind of problem.
    """
    import numpy as np

    if not runs or len({rows.positive for _, rows in runs}) > 1:
        return None
    positive, target = runs[0][1].positive, runs[0][1].target
    if positive:
        edges = np.linspace(0.0, 1.0, BINS + 1)
        middles = (edges[:-1] + edges[1:]) / 2
    else:
        pooled = np.concatenate([rows.score for _, rows in runs])
        edges = np.unique(np.quantile(pooled, np.linspace(0, 1, BINS + 1)))
        if len(edges) < 3:
            return None
        index = np.clip(np.searchsorted(edges, pooled, side="right") - 1, 0, len(edges) - 2)
        middles = np.bincount(index, pooled, len(edges) - 1) / np.maximum(
            1, np.bincount(index, minlength=len(edges) - 1)
        )
    lines = []
    for number, (label, rows) in enumerate(runs, start=1):
        index = np.clip(np.searchsorted(edges, rows.score, side="right") - 1, 0, len(edges) - 2)
        counts, sums = np.bincount(index, minlength=len(middles)), np.bincount(index, rows.truth, len(middles))
        values = [float(s / n) if n >= FEWEST else None for s, n in zip(sums, counts, strict=True)]
        lines.append(Series(label, values, color=number))
    return Chart(
        title="Calibration",
        x_label=f"predicted probability of {positive}" if positive else f"predicted {target}",
        y_label=f"observed share of {positive}" if positive else f"mean true {target}",
        x=tuple(map(float, middles)),
        series=tuple(lines),
        diagonal=True,
        low=0.0 if positive else None,
        high=1.0 if positive else None,
    )


def threshold_charts(runs: Sequence[tuple[str, ScoredRows]]) -> list[Chart]:
    """Return precision and recall by threshold: of one run in one chart, of several a chart each; [] for numbers.

    Args:
        runs: A label and the test rows of each run.
    """
    runs = [(label, rows) for label, rows in runs if rows.positive]
    if not runs:
        return []
    thresholds = [round(STEP * step, 2) for step in range(1, round(1 / STEP))]
    curves = {label: [_at(rows, threshold) for threshold in thresholds] for label, rows in runs}
    if len(runs) == 1:
        label = runs[0][0]
        parts = [
            ("precision", [row.precision for row in curves[label]]),
            ("recall", [row.recall for row in curves[label]]),
        ]
        return [_threshold_chart("Precision and recall by threshold", "share", thresholds, parts)]
    return [
        _threshold_chart(f"{name.capitalize()} by threshold", name, thresholds, parts)
        for name in ("precision", "recall")
        if (parts := [(label, [getattr(row, name) for row in rows]) for label, rows in curves.items()])
    ]


def _threshold_chart(
    title: str, label: str, thresholds: Sequence[float], parts: Sequence[tuple[str, list[float | None]]]
) -> Chart:
    lines = tuple(Series(name, values, color=number) for number, (name, values) in enumerate(parts, start=1))
    return Chart(
        title=title, x_label="decision threshold", y_label=label, x=tuple(thresholds), series=lines, low=0.0, high=1.0
    )


def threshold_table(rows: ScoredRows) -> list[ThresholdRow]:
    """Return what some thresholds mean on the test rows, that of the model included; [] for numbers."""
    if not rows.positive:
        return []
    return [_at(rows, threshold) for threshold in sorted({*LISTED, rows.threshold})]


def _at(rows: ScoredRows, threshold: float) -> ThresholdRow:
    """Return the counts of one threshold as ratios."""
    chosen = rows.score >= threshold
    positives, hits, n = float(rows.truth.sum()), float(rows.truth[chosen].sum()), len(rows.truth)
    predicted = float(chosen.sum())
    cost = None
    if rows.costs is not None and len(rows.costs) == 2:
        (c00, c01), (c10, c11) = rows.costs
        wrong = predicted - hits
        cost = (c11 * hits + c10 * (positives - hits) + c01 * wrong + c00 * (n - positives - wrong)) / n
    return ThresholdRow(
        threshold=threshold,
        predicted=predicted / n,
        precision=hits / predicted if predicted else None,
        recall=hits / positives if positives else None,
        f1=2 * hits / (predicted + positives) if predicted + positives else None,
        cost=cost,
        chosen=threshold == rows.threshold,
    )
