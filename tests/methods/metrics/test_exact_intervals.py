"""Exact intervals of proportions, and of metrics that no resample varies."""

import numpy as np
import pytest
from scipy import stats

from mlnb.methods.contracts.evaluations import Estimate
from mlnb.methods.evaluation.test_evaluation import evaluate
from mlnb.methods.metrics.exact_intervals import exact_interval, proportion_interval, widen


@pytest.mark.parametrize(("successes", "count"), [(0, 1), (1, 1), (8, 8), (3, 8), (40, 80), (99, 100)])
def test_the_ends_are_those_of_the_binomial_test(successes: int, count: int) -> None:
    expected = stats.binomtest(successes, count).proportion_ci(method="exact")
    assert proportion_interval(successes, count) == pytest.approx((expected.low, expected.high))


def test_eight_rows_that_are_right_are_not_certain() -> None:
    y = np.array([0, 1] * 4)
    model, dummy = np.eye(2)[y], np.full((8, 2), 0.5)
    result = evaluate(y, {"model": model, "dummy": dummy}, "binary", "roc_auc", resamples=100)
    assert result.deciding.value == result.deciding.high == 1.0 and result.deciding.low < 0.5
    accuracy = result.scores["accuracy"]
    assert accuracy.value == 1.0 and accuracy.low == pytest.approx(0.631, abs=1e-3)
    assert result.references["dummy"].difference.low < 0  # the gate does not pass on so few rows


def test_copies_are_drawn_together() -> None:
    random = np.random.default_rng(0)
    y, p = random.integers(0, 2, 40), random.random(40)
    once = np.stack([1 - p, p], axis=1)
    four = {"model": np.tile(once, (4, 1)), "dummy": np.full((160, 2), 0.5)}
    apart = evaluate(np.tile(y, 4), four, "binary", "roc_auc", 300)
    together = evaluate(np.tile(y, 4), four, "binary", "roc_auc", 300, copies=np.tile(np.arange(40), 4))
    width = [result.deciding.high - result.deciding.low for result in (apart, together)]
    assert width[1] > 1.5 * width[0]


def test_other_metrics_keep_their_interval() -> None:
    assert exact_interval("rmse", 0.0, 0.0, 0.0, 8, 8) == (0.0, 0.0)
    assert exact_interval("roc_auc", 0.9, 0.8, 1.0, 8, 4) == (0.8, 1.0)
    assert exact_interval("accuracy", 0.9, 0.88, 0.92, 1000, 400) == (0.88, 0.92)


def test_an_estimate_without_an_interval_stays_as_it_is():
    bare = Estimate(value=0.7)
    assert widen("accuracy", bare, 8, 4) is bare
    wide = widen("accuracy", Estimate(value=1.0, low=1.0, high=1.0), 8, 4)
    assert (wide.value, wide.high) == (1.0, 1.0) and 0.5 < wide.low < 0.7
