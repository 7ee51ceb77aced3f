"""Scores of predictions on test rows that all sides share, and whether one is worse than another beyond noise."""

from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 400


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
