"""Scores of predictions on test rows that all sides share, and whether one is worse than another beyond noise."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 400
FAILED = 1e300  # error of a side that failed
TIE = 1e-4  # relative difference of scores below which they are equal


def spelt(value: Any) -> str:
    """Return a class by one name, be it read as 1, 1.0 or "1"."""
    return str(int(value)) if isinstance(value, (int, float)) and float(value).is_integer() else str(value)


def scored(task: str, truth: pd.Series, fitted: dict[str, Any], prediction: np.ndarray) -> float:
    """Return the score of a prediction: scikit-learn's metric of the task."""
    from sklearn import metrics

    if task == "regression":
        return float(metrics.root_mean_squared_error(truth, prediction))
    names = [spelt(name) for name in fitted["classes"]]
    codes = truth.map(spelt).map({name: code for code, name in enumerate(names)})
    if codes.isna().any():
        raise ValueError(f"found classes {sorted(truth.astype(str).unique())}, the model knows {names}")
    if task == "binary":
        return float(metrics.roc_auc_score(codes, prediction[:, 1]))
    return float(metrics.log_loss(codes, prediction / prediction.sum(axis=1, keepdims=True), labels=range(len(names))))


def worse_beyond_noise(task: str, truth: pd.Series, ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Return whether ours is the worse of two in 95 % of resamples of the test rows, the same rows for both."""
    rng, worse, drawn = np.random.default_rng(0), 0, 0
    for _ in range(RESAMPLES):
        rows = rng.integers(0, len(truth), len(truth))
        some = truth.iloc[rows]
        if task == "binary" and some.nunique() < 2:
            continue
        ours_now, theirs_now = (scored(task, some, side, side["prediction"][rows]) for side in (ours, theirs))
        worse += ours_now < theirs_now if task == "binary" else ours_now > theirs_now
        drawn += 1
    return worse >= 0.95 * drawn


@dataclass(frozen=True)
class Comparison:
    """Scores of sides on the test rows of a set.

    Args:
        task: binary, multiclass or regression.
        rows: number of training rows.
        scores: side -> area under the ROC curve, log loss or RMSE; 0 or FAILED where it failed.
        results: side -> what it returned, or its `error`.
        worse: mlnb is worse than LightGBM's defaults beyond noise.
    """

    task: str
    rows: int
    scores: dict[str, float]
    results: dict[str, dict[str, Any]]
    worse: bool

    def succeeded(self, side: str) -> bool:
        """Return whether the side has predictions."""
        return "error" not in self.results[side]

    def error(self, side: str) -> float:
        """Return what is to be small: log loss, RMSE, or one minus the area under the ROC curve."""
        return 1 - self.scores[side] if self.task == "binary" else self.scores[side]

    def rank(self, sides: Iterable[str] = ()) -> dict[str, float]:
        """Return the rank of each side (1 is best) among `sides` (default: all); ties have their mean."""
        names = list(sides) or list(self.scores)
        sign = -1 if self.task == "binary" else 1
        better = {
            side: sum(sign * (self.scores[side] - self.scores[other]) > TIE * abs(self.scores[side]) for other in names)
            for side in names
        }
        tied = {
            side: sum(abs(self.scores[side] - self.scores[other]) <= TIE * abs(self.scores[side]) for other in names)
            for side in names
        }
        return {side: 1 + better[side] + (tied[side] - 1) / 2 for side in names}

    def ratio(self, side: str, sides: Iterable[str]) -> float:
        """Return the error of a side over the smallest of `sides` and itself."""
        best = min(self.error(each) for each in {*sides, side})
        return self.error(side) / best if best else 1.0 + self.error(side)
