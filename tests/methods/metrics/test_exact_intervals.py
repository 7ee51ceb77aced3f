"""Exact intervals of proportions, and of metrics that no resample varies."""

import numpy as np
import pytest
from scipy import stats

from mlnb.methods.calibration.conformal_intervals import check_interval
from mlnb.methods.contracts.evaluations import Estimate
from mlnb.methods.evaluation.fairness import compare_groups
from mlnb.methods.evaluation.test_evaluation import evaluate
from mlnb.methods.metrics.exact_intervals import (
    counted_units,
    difference_interval,
    exact_interval,
    proportion_interval,
    rarest_units,
    share_interval,
    widen,
)
from mlnb.methods.operations.labeled_feedback import Evidence, alert_precision
from mlnb.methods.operations.monitoring_verdict import score_evidence


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


EIGHT = pytest.approx(0.631, abs=1e-3)  # low end for eight successes of eight


@pytest.mark.parametrize("metric", ["precision", "recall", "precision_at@0.1"])
def test_proportions_of_eight_rows_are_not_certain(metric: str) -> None:
    y = np.repeat([1, 0], [8, 72])  # eight positive rows, all found: eight of eight
    model, dummy = np.eye(2)[y], np.full((80, 2), 0.5)
    result = evaluate(y, {"model": model, "dummy": dummy}, "binary", "roc_auc", resamples=100, also=[metric])
    assert (result.scores[metric].value, result.scores[metric].low, result.scores[metric].high) == (1.0, EIGHT, 1.0)


def test_rates_of_few_negative_rows_and_alerts() -> None:
    y = np.repeat([0, 1], [8, 72])
    model = {"model": np.eye(2)[y], "dummy": np.full((80, 2), 0.5)}
    rate = evaluate(y, model, "binary", "roc_auc", resamples=100, also=["false_positive_rate"])
    assert rate.scores["false_positive_rate"].high == pytest.approx(0.369, abs=1e-3)
    labels, scores = y[::-1].astype(float), y[::-1].astype(float)
    result = evaluate(1 - labels, {"model": 1 - scores, "dummy": scores}, "anomaly", "precision_at_k", resamples=100)
    assert (result.deciding.value, result.deciding.low) == (1.0, EIGHT)
    stable = evaluate(1 - labels, {"model": 1 - scores, "dummy": scores}, "anomaly", "stability", resamples=100)
    assert (stable.deciding.value, stable.deciding.low) == (1.0, EIGHT)
    assert (alert_precision(np.ones(8), np.ones(8, dtype=bool)).low) == EIGHT
    assert check_interval(np.zeros(8), np.tile([-1.0, 1.0], (8, 1)), 0.9).coverage.low == EIGHT


def test_windows_of_eight_rows_are_not_certain() -> None:
    y = np.array([0, 1] * 4)
    window = score_evidence(Evidence(y, np.eye(2)[y], np.arange(8)), "accuracy")
    assert window.low == EIGHT and window.deviation > 0.05
    requests = score_evidence(
        Evidence(np.tile(y, 40), np.eye(2)[np.tile(y, 40)], np.repeat(np.arange(80), 4)), "accuracy"
    )
    assert requests.low is not None and 0.9 < requests.low < 1.0


def test_groups_of_few_rows_that_are_all_right_may_differ() -> None:
    y, groups = np.array([0, 1] * 24), np.repeat(["a", "b"], 24)
    difference = compare_groups(y, y, groups, "accuracy").difference
    assert (difference.value, difference.low) == (0.0, 0.0) and 0.1 < difference.high < 0.2
    larger = compare_groups(np.tile(y, 100), np.tile(y, 100), np.tile(groups, 100), "accuracy").difference
    assert larger.high < 0.01


@pytest.mark.parametrize("truth", [0.5, 0.9, 0.98])
@pytest.mark.parametrize("count", [8, 30, 100, 400])
def test_intervals_of_shares_hold_the_truth(truth: float, count: int) -> None:
    drawn = np.random.default_rng(0).binomial(count, truth, 400)
    ends = np.array([share_interval(successes, count) for successes in drawn])
    assert ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean() > 0.92


def test_differences_hold_the_truth() -> None:
    random = np.random.default_rng(0)
    pairs = [((random.binomial(20, 0.9), 20), (random.binomial(30, 0.7), 30)) for _ in range(400)]
    ends = np.array([difference_interval(*pair) for pair in pairs])
    assert ((ends[:, 0] <= 0.2) & (ends[:, 1] >= 0.2)).mean() > 0.92


def test_rows_that_a_proportion_is_of() -> None:
    y, p, copies = np.array([1, 1, 0, 0, 0]), np.eye(2)[[1, 0, 1, 0, 0]], np.array([0, 0, 1, 2, 3])
    counted = {name: counted_units(name, y, p, copies) for name in ("precision", "recall", "false_positive_rate")}
    assert counted == {"precision": 2, "recall": 1, "false_positive_rate": 3}
    assert counted_units("precision_at@0.4", y, p, copies) == 2 and counted_units("accuracy", y, p, copies) == 4


def test_units_are_counted_alike_with_any_codes() -> None:
    y, p = np.array([1, 0, 1, 0]), np.eye(2)[[1, 1, 0, 0]]
    for codes in ([0, 1, 1, 2], [7, 10**12, 10**12, -3]):  # dense, and far apart
        assert counted_units("accuracy", y, p, np.array(codes)) == 3
        assert rarest_units(y, np.array(codes), True) == 2
    assert counted_units("recall", np.zeros(4, int), p, np.arange(4)) == 0
