"""Predictions of both models for fresh rows of each task, paired with the true values."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract, Ruler
from mlnb.methods.operations.challenge_pairs import (
    FreshResponses,
    forecast_requests,
    pair_rows,
    pair_steps,
    read_predictions,
)
from mlnb.methods.operations.champion_challenger import measure_gain

DAILY = ProblemContract(
    task="forecasting", time="day", series=("shop",), target="sold", horizon=2, metric="mase", ruler=Ruler(unit="D")
)
HISTORY = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=10), "shop": "north", "sold": np.arange(10.0)})
FRESH = pd.DataFrame({"day": [f"2024-01-{d}" for d in range(11, 17)], "shop": "north", "sold": np.arange(10.0, 16.0)})
ENCODER = {"sizes": [["north", 0.5, 4.0]], "season": 1, "horizon": 2}
EXACT = [[{"time": f"2024-01-{11 + n}", "shop": "north", "prediction": 10.0 + n}] for n in range(6)]
HIGH = [[{**step, "prediction": step["prediction"] + 1} for step in steps] for steps in EXACT]
PRICE = ProblemContract(task="regression", target="y", metric="rmse")
ALERTS = ProblemContract(task="anomaly", target="fault", positive="bad", metric="average_precision")


@pytest.fixture(scope="module")
def strange():
    return np.random.default_rng(0).random(600) < 0.1


@pytest.fixture(scope="module")
def detectors(strange):
    """Responses of a dull and of a keen detector."""
    random = np.random.default_rng(1)

    def respond(spread):
        scores = strange + random.normal(0, spread, 600)
        return [{"prediction": "anomaly" if s > 1 else "normal", "score": float(s)} for s in scores]

    return respond(1.0), respond(0.3)


def pair(champion, challenger):
    """Return the paired steps of two forecasters."""
    return pair_steps(DAILY, HISTORY, FRESH, FreshResponses(champion, challenger, 0.0, 0.0, ENCODER))


def test_forecasts_are_requested_from_each_origin():
    requests = forecast_requests(HISTORY, FRESH, DAILY, 5)
    assert len(requests) == 6 and [len(rows) for rows in requests] == [5] * 6 and requests[0][-1]["sold"] == 9.0


def test_future_values_of_other_columns_are_sent_and_the_target_is_not():
    requests = forecast_requests(HISTORY.assign(price=1.0), FRESH.assign(price=2.0), DAILY, 5, most=2)
    assert len(requests) == 2
    assert requests[0][-1] == {"day": "2024-01-12", "shop": "north", "sold": None, "price": 2.0}


def test_steps_are_paired_in_the_scale_of_their_series():
    steps = pair(HIGH, EXACT)
    assert (steps.champion - steps.y).tolist() == [2.0] * 6 and (steps.challenger == steps.y).all()
    assert steps.changed == 1


def test_steps_that_one_model_did_not_forecast_are_refused():
    with pytest.raises(ValueError, match="has a true value"):
        pair([[]], EXACT)


def test_six_steps_are_too_few_for_a_gain():
    with pytest.raises(ValueError, match="bootstrap units"):
        measure_gain(pair(HIGH, EXACT), "mase")


def test_values_change_by_more_than_half_a_standard_deviation():
    champion, challenger = ([{"prediction": value} for value in values] for values in ((1, 2, 3), (1, 9, 3)))
    values = pair_rows(PRICE, pd.DataFrame({"y": [1.0, 2.0, None]}), champion, challenger)
    assert len(values.y) == 2 and abs(values.changed - 1 / 3) < 1e-9


def test_rankings_are_compared_by_query():
    contract = ProblemContract(task="ranking", target="grade", query="q", metric="ndcg@5")
    queries = pd.DataFrame({"q": np.repeat(np.arange(30), 5).astype(str), "grade": np.tile([3, 2, 1, 0, 0], 30)})
    order = [{"score": s, "rank": 1} for s in np.tile([5.0, 4, 3, 2, 1], 30)]
    noise = [{"score": s, "rank": 1} for s in np.random.default_rng(0).normal(size=150)]
    ranked = pair_rows(contract, queries, noise, order)
    assert measure_gain(ranked, "ndcg@5").low > 0 and ranked.changed > 0.5 and len(set(ranked.units)) == 30


def test_reviewed_rows_are_weighted_for_those_without_label(strange, detectors):
    dull, keen = detectors
    reviewed = np.array([one["prediction"] == "anomaly" for one in dull])
    reviewed |= np.random.default_rng(2).random(600) < 0.5
    labels = [("bad" if s else "fine") if here else None for s, here in zip(strange, reviewed, strict=True)]
    result = pair_rows(ALERTS, pd.DataFrame({"fault": labels}), dull, keen)
    assert measure_gain(result, "average_precision").low > 0 and result.weights.max() > 1


def test_without_labels_a_reference_detector_is_the_truth(strange, detectors):
    result = pair_rows(ALERTS, pd.DataFrame(index=range(600)), *detectors, flags=strange.astype(float))
    assert measure_gain(result, "stability").low > 0


def test_detectors_without_any_label_are_refused(detectors):
    with pytest.raises(ValueError, match="wait for more labels"):
        pair_rows(ALERTS, pd.DataFrame({"fault": [None] * 600}), *detectors)


def test_a_value_is_read_from_its_response():
    assert read_predictions([{"prediction": 2}], PRICE).tolist() == [2.0]


def test_responses_with_other_classes_are_refused():
    contract = ProblemContract(task="binary", target="y", classes=("no", "perhaps"), metric="roc_auc")
    with pytest.raises(ValueError, match="respond differently"):
        read_predictions([{"prediction": "yes", "probabilities": {"no": 0.1, "yes": 0.9}}], contract)
