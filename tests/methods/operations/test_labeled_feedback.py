"""True values of logged responses of alerts and forecasts, and the end of a log."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract, Ruler
from mlnb.methods.operations import labeled_feedback
from mlnb.methods.operations.labeled_feedback import (
    alert_precision,
    alert_truth,
    alert_warnings,
    find_log_end,
    judge_alerts,
    judge_steps,
    logged_values,
    name_series,
    series_scales,
    step_truth,
    steps_of,
)

HOURS = np.arange(400) * 3600.0
UNLABELED = ProblemContract(task="anomaly")
DAILY = ProblemContract(
    task="forecasting", time="day", series=("shop",), target="sold", horizon=2, metric="mase", ruler=Ruler(unit="D")
)
ENCODER = {"sizes": [["north", 2.0, 3.0]], "season": 7}


@pytest.fixture(scope="module")
def scored():
    """Whether 4,000 rows are anomalies, their scores and alerts."""
    random = np.random.default_rng(0)
    strange = random.random(4000) < 0.05
    scores = strange + random.normal(0, 0.5, 4000)
    return strange, scores, scores > 1.0


@pytest.fixture(scope="module")
def reviewed(scored):
    """All alerts, and one in ten of the other rows."""
    return scored[2] | (np.random.default_rng(1).random(4000) < 0.1)


@pytest.fixture(scope="module")
def precision(scored):
    strange, _, alerts = scored
    return alert_precision(np.where(alerts, strange, np.nan), alerts)


@pytest.fixture(scope="module")
def log():
    """Five days in a request with forecasts of the next two, and a later request with the sixth day."""
    history = [{"in.day": f"2024-01-{day:02d}", "in.shop": "north", "in.sold": float(day)} for day in range(1, 6)]
    forecast = [{"out.time": f"2024-01-0{n + 1}", "out.shop": "north", "out.prediction": n + 2.0} for n in (5, 6)]
    later = {"in.day": "2024-01-06", "in.shop": "north", "in.sold": 6.0}
    first = [{"request": "a", "row": n % 5, "time": 1.0, "model": "v", **row} for n, row in enumerate(history)]
    first += [
        {"request": "a", "row": n, "time": 1.0, "model": "v", **row} for n, row in zip((5, 6), forecast, strict=True)
    ]
    return pd.DataFrame([*first, {"request": "b", "row": 0, "time": 2.0, "model": "v", **later}])


@pytest.fixture(scope="module")
def steps(log):
    return steps_of(log, DAILY)


@pytest.fixture(scope="module")
def values(log):
    return logged_values(log, DAILY)


def test_a_log_ends_with_its_newest_row():
    assert find_log_end(HOURS, 7) == (HOURS[-1], "") and find_log_end(HOURS[:5], 7)[0] == HOURS[4]


def test_a_few_rows_far_ahead_are_ignored_with_a_warning():
    end, warning = find_log_end(np.r_[HOURS, HOURS[:3] + 1e8], 7)
    assert end == HOURS[-1] and warning.startswith("3 of 403 rows")


def test_a_long_pause_is_no_wrong_clock():
    assert find_log_end(np.r_[HOURS, HOURS + 1e8], 7)[1] == ""


def test_fully_reviewed_rows_represent_themselves(scored):
    strange, scores, alerts = scored
    assert (judge_alerts(strange.astype(float), scores, alerts).weights == 1).all()


def test_reviewed_rows_are_weighted_for_all_rows_of_their_kind(scored, reviewed):
    strange, scores, alerts = scored
    part = judge_alerts(np.where(reviewed, strange, np.nan), scores, alerts)
    assert abs(part.weights.sum() - 4000) < 1e-6
    assert abs(np.average(part.y, weights=part.weights) - strange.mean()) < 0.01 < part.y.mean() - strange.mean()


def test_reviewed_alerts_alone_are_no_evidence(scored):
    strange, scores, alerts = scored
    assert judge_alerts(np.where(alerts, strange, np.nan), scores, alerts) is None


def test_the_precision_of_alerts_has_an_interval(scored, precision):
    strange, _, alerts = scored
    assert precision.low < strange[alerts].mean() < precision.high


def test_unreviewed_alerts_have_no_precision():
    assert alert_precision(np.full(3, np.nan), np.ones(3, dtype=bool)).value is None


def test_labels_of_anomalies_are_read_as_numbers():
    truth = alert_truth(["anomaly", "normal", None], UNLABELED)
    assert truth[:2].tolist() == [1, 0] and np.isnan(truth[2])
    assert np.isnan(alert_truth([float("nan")], UNLABELED)).all()


def test_an_anomaly_may_have_its_own_label():
    assert alert_truth(["bad", "anomaly"], ProblemContract(task="anomaly", positive="bad")).tolist() == [1, 0]


def test_alerts_within_the_budget_give_no_warning(scored, precision):
    alerts = scored[2]
    assert alert_warnings(alerts, precision, float(alerts.mean()), 0.5) == []


def test_too_many_alerts_and_a_lower_precision_give_a_warning_each(scored, precision):
    assert len(alert_warnings(scored[2], precision, 0.01, 0.999)) == 2


def test_series_are_named_alike_by_numbers_and_texts():
    assert name_series(pd.DataFrame({"a": [1, "1"], "b": [None, "x"]}), ["a", "b"]) == ["1, ", "1, x"]


def test_steps_are_counted_from_their_origin(steps, values):
    assert steps["step"].tolist() == [1, 2] and (steps["origin"] == values["period"].max() - 1).all()


def test_logged_values_hold_each_period_once(values):
    assert values["in.sold"].tolist() == [1, 2, 3, 4, 5, 6] and set(values["series"]) == {"north"}


def test_the_true_value_of_a_step_comes_from_a_later_request_or_a_label(steps, values):
    truth = step_truth(steps, values, [None, None], "sold")
    assert truth[0] == 6 and np.isnan(truth[1])
    assert step_truth(steps, values, ["5.5", "9"], "sold").tolist() == [5.5, 9]


def test_errors_are_scaled_by_training_or_by_logged_values(values):
    assert series_scales(["north", "north"], ENCODER, values, "sold").tolist() == [2, 2]
    assert series_scales(["north"], {"sizes": [], "season": 2}, values, "sold").tolist() == [2]
    assert series_scales(["new"], ENCODER, values, "sold").tolist() == [1]


def test_steps_with_a_true_value_are_judged_in_their_scale(steps, values):
    truth = step_truth(steps, values, [None, None], "sold")
    predicted, scales = steps["out.prediction"].to_numpy(), np.full(2, 2.0)
    evidence = judge_steps(steps["series"], steps["period"].to_numpy(), truth, predicted, scales, "mase", 7)
    assert (evidence.prediction - evidence.y).tolist() == [0.5] and len(evidence.units) == 1


def test_steps_without_true_values_are_no_evidence():
    assert judge_steps(["x"], np.ones(1), np.array([np.nan]), np.ones(1), np.ones(1), "mae", 7) is None


def test_periods_of_a_block_are_drawn_together():
    many = judge_steps(["x"] * 70, np.arange(70), np.ones(70), np.ones(70), np.ones(70), "mae", 7)
    assert len(set(many.units)) == 10


def test_a_log_without_inputs_has_no_values(log):
    assert logged_values(log[["request", "row", "time", "model"]], DAILY).empty


def test_a_log_of_another_task_is_refused(log):
    with pytest.raises(ValueError, match=r"out\.time"):
        steps_of(log[["request", "time"]], DAILY)


@pytest.mark.parametrize("cells", [1, 70, 701, 10**6])
def test_the_chunks_of_a_bootstrap_are_small_and_do_not_change_the_draws(monkeypatch, cells):
    rows, units, weights = 70, np.arange(70) // 3, np.linspace(0, 5, 70)
    (whole,) = labeled_feedback.resample(rows, 40, 7, units, weights)
    monkeypatch.setattr(labeled_feedback, "CELLS", cells)
    parts = list(labeled_feedback.resample(rows, 40, 7, units, weights))
    assert np.array_equal(np.concatenate(parts), whole)
    assert max(part.size for part in parts) <= max(cells, rows)
