"""Test evaluation: rankings, anomalies, decided labels, undefined metrics and the gate."""

import numpy as np
import pytest

from mlnb.codec import replace
from mlnb.methods.contracts.evaluations import ForecastErrors, GroupErrors, Metrics, format_number
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation import test_evaluation
from mlnb.methods.evaluation.test_evaluation import evaluate, format_estimate, make_gate
from mlnb.methods.metrics.weighted_metrics import metrics_of

RANDOM = np.random.default_rng(3)
Y = RANDOM.integers(0, 2, 200)
GOOD = np.clip(Y * 0.4 + 0.3 + RANDOM.normal(0, 0.15, 200), 0.01, 0.99)
BOTH = {"model": np.c_[1 - GOOD, GOOD], "dummy": np.full((200, 2), 0.5)}
CONTRACT = ProblemContract(task="binary", metric="roc_auc", direction="maximize")


@pytest.fixture(scope="module")
def result() -> Metrics:
    return evaluate(Y, BOTH, "binary", "roc_auc", resamples=500)


def test_reproducible(result: Metrics) -> None:
    assert evaluate(Y, BOTH, "binary", "roc_auc", resamples=500) == result


def test_metrics_of_many_rows_are_computed_at_the_same_time(result: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_evaluation, "THREADED", 1)
    assert evaluate(Y, BOTH, "binary", "roc_auc", resamples=500) == result


def test_one_row_has_no_roc_curve() -> None:
    one = evaluate(Y[:1], {"model": BOTH["model"][:1]}, "binary", "roc_auc", resamples=10)
    assert one.deciding.value is None and one.scores["accuracy"].value in (0.0, 1.0)
    assert format_estimate(one.deciding) == "undefined on these rows"


def test_rankings_draw_queries() -> None:
    ranks, queries = RANDOM.normal(size=200) + Y, np.arange(200) // 10
    ranked = evaluate(Y, {"model": ranks, "dummy": np.zeros(200)}, "ranking", "ndcg@5", 200, groups=queries)
    assert ranked.references["dummy"].difference.low > 0 and set(ranked.scores) == set(metrics_of("ranking"))


def test_anomalies_with_and_without_labels() -> None:
    flagged = evaluate(Y * 1.0, {"model": GOOD, "dummy": np.zeros(200)}, "anomaly", "stability", 200)
    assert list(flagged.scores) == ["stability"] and flagged.references["dummy"].difference.low > 0
    blank = np.where(np.arange(200) < 50, np.nan, Y)  # rows without a label do not count
    assert evaluate(blank, {"model": GOOD}, "anomaly", "average_precision", 50).deciding.value > 0.9


def test_decided_labels_replace_probabilities() -> None:
    never = {"model": np.eye(2)[np.zeros(200, dtype=int)]}
    cost = "mean_cost@[[0,1],[5,0]]"
    strict = evaluate(Y, BOTH, "binary", "f1", 50, decided=never, also=[cost])
    assert strict.deciding.value == 0 and np.isclose(strict.scores[cost].value, 5 * Y.mean())
    assert strict.scores["roc_auc"] == evaluate(Y, BOTH, "binary", "f1", 50).scores["roc_auc"]


def test_no_rows() -> None:
    with pytest.raises(ValueError, match="found 0 rows"):
        evaluate(Y[:0], {"model": BOTH["model"][:0]}, "binary", "roc_auc")


def test_gate_of_losses_and_equal_models(result: Metrics) -> None:
    losses = evaluate(Y, BOTH, "binary", "log_loss", resamples=50)
    assert make_gate(replace(CONTRACT, metric="log_loss", direction="minimize", bound=9.0), losses).passed
    same = evaluate(Y, {"model": BOTH["dummy"], "dummy": BOTH["dummy"]}, "binary", "roc_auc", resamples=50)
    gate = make_gate(CONTRACT, same)
    assert not gate.passed and gate.lines[0].check.endswith("better than the dummy baseline")
    empty = GroupErrors(groups=(), mase={})
    forecast = replace(same, forecast=ForecastErrors(origins=1, by_step=empty, by_series=empty))
    assert make_gate(CONTRACT, forecast).lines[0].check.endswith("better than the seasonal-naive forecast")
    undefined = replace(result, deciding=replace(result.deciding, value=None))
    assert not make_gate(replace(CONTRACT, bound=0.1), undefined).passed


@pytest.mark.parametrize("value", [0.0, 0.98765, 999.94, 1000.4, 126_765.8, -19_284.2, 123_456_789.0, 3e15, -1e-9])
def test_numbers_of_prices_are_written_out(value: float) -> None:
    text = format_number(value)
    assert np.isclose(float(text.replace(",", "")), value, rtol=6e-4)
    assert ("e" in text) == (abs(value) >= 1e15 or 0 < abs(value) < 1e-4)


def test_gate_of_another_metric(result: Metrics) -> None:
    with pytest.raises(ValueError, match="'f1'"):
        make_gate(replace(CONTRACT, metric="f1"), result)


def test_one_query_has_no_interval_and_does_not_pass_the_gate() -> None:
    ranks, query = RANDOM.normal(size=20) + Y[:20], np.zeros(20)
    one = evaluate(Y[:20], {"model": ranks, "dummy": -ranks}, "ranking", "ndcg@5", 50, groups=query)
    better = one.references["dummy"].difference
    assert one.deciding.value is not None and one.deciding.low is None and better.value > 0 and better.low is None
    gate = make_gate(replace(CONTRACT, task="ranking", metric="ndcg@5"), one)
    assert not gate.passed and "without an interval" in gate.lines[0].found
