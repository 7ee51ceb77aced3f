"""Training data of a challenger from logged production data."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract, Ruler
from mlnb.methods.operations.labeled_feedback import steps_of
from mlnb.methods.operations.logged_data import (
    combine_rows,
    count_fresh,
    labeled_rows,
    match_columns,
    new_periods,
    plain_rows,
)
from mlnb.methods.tasks.task_traits import traits_of

CHURN = ProblemContract(task="binary", target="churn")
RANKING = ProblemContract(task="ranking", target="grade", query="q")
WEEKLY = ProblemContract(task="forecasting", horizon=7)
DAILY = ProblemContract(
    task="forecasting", time="day", series=("shop",), target="sold", horizon=2, metric="mase", ruler=Ruler(unit="D")
)
LOG = pd.DataFrame(
    {"request": ["a", "a", "b"], "row": [0, 1, 0], "in.age": [31.0, 40.0, 28.0], "out.prediction": ["no"] * 3}
)
LOGGED = pd.DataFrame({"age": [40.0, 28.0], "churn": ["yes", "no"]})
NUMBERS = pd.DataFrame({"age": [31, 52], "churn": ["no", "yes"]})
PAST = pd.DataFrame(
    {"day": pd.to_datetime(["2024-01-02", "2024-01-03"]), "shop": "north", "sold": [2.0, 3.0], "price": 2.0}
)
TEN = pd.DataFrame({"a": range(10), "q": list("aabbccddee"), "y": [None, "1"] * 5})
DAYS = np.repeat(np.arange(50), 2)


@pytest.fixture
def sales():
    """The log of one request of two days, whose second row carries a forecast."""
    request = {"request": "a", "time": 1.0, "model": "v", "in.shop": "north"}
    forecast = {"out.time": "2024-01-05", "out.shop": "north", "out.prediction": 7.0}
    return pd.DataFrame([
        {**request, "row": 0, "in.day": "2024-01-03", "in.sold": 3.0, "in.price": 2.0},
        {**request, "row": 1, "in.day": "2024-01-04", "in.sold": 4.0, "in.price": 2.5, **forecast},
    ])  # fmt: skip


def test_rows_with_a_label_are_training_data():
    assert labeled_rows(LOG, [None, "yes", "no"], CHURN).to_dict("list") == LOGGED.to_dict("list")


def test_a_query_is_named_by_its_column_and_its_request():
    named = labeled_rows(LOG.assign(**{"in.q": "x"}), ["1", "0", "2"], RANKING)
    assert named["q"].tolist() == ["x a", "x a", "x b"]
    assert labeled_rows(LOG, ["1", "0", "2"], RANKING)["q"].tolist() == ["a", "a", "b"]


def test_a_query_without_all_of_its_labels_is_left_out():
    assert labeled_rows(LOG.assign(**{"in.q": "x"}), ["1", None, "2"], RANKING)["grade"].tolist() == ["2"]


def test_anomaly_detection_is_trained_on_all_rows():
    rows = labeled_rows(LOG, [None, "bad", None], ProblemContract(task="anomaly", target="fault"))
    assert rows["fault"].tolist() == [None, "bad", None]
    assert list(labeled_rows(LOG, [None] * 3, ProblemContract(task="anomaly"))) == ["age"]


def test_columns_get_the_types_of_the_history():
    texts = pd.DataFrame({"age": ["31", "52"], "city": ["Bern", "Ulm"], "churn": ["no", "yes"]})
    matched = {"age": ["40", "28"], "city": [None, None], "churn": ["yes", "no"]}
    assert match_columns(LOGGED, texts).to_dict("list") == matched
    assert match_columns(LOGGED, NUMBERS)["age"].tolist() == [40, 28]
    dates = pd.DataFrame({"day": pd.to_datetime(["2024-01-01"])})
    assert match_columns(pd.DataFrame({"day": ["2024-02-01"]}), dates)["day"][0] == pd.Timestamp("2024-02-01")


@pytest.mark.parametrize(
    ("policy", "window", "ages"),
    [("growing", 0, [31, 52, 40, 28]), ("since_last", 0, [40, 28]), ("sliding", 3, [52, 40, 28])],
)
def test_a_policy_combines_history_and_logged_rows(policy, window, ages):
    assert combine_rows(NUMBERS, match_columns(LOGGED, NUMBERS), policy, window)["age"].tolist() == ages


def test_an_unknown_policy_is_refused():
    with pytest.raises(ValueError, match="expected growing"):
        combine_rows(NUMBERS, LOGGED, "newest", 3)


def test_new_periods_come_from_requests_and_labels(sales):
    rows, periods = new_periods(sales, steps_of(sales, DAILY), ["5"], DAILY, PAST)
    assert rows["sold"].tolist() == [4, 5] and rows["day"].tolist() == ["2024-01-04", "2024-01-05"]
    assert np.diff(periods) == [1]
    assert rows["price"][0] == 2.5 and np.isnan(rows["price"][1]) and (rows["shop"] == "north").all()
    assert match_columns(rows, PAST)["day"].dt.day.tolist() == [4, 5]


def test_a_forecast_without_label_is_no_new_period(sales):
    assert len(new_periods(sales, steps_of(sales, DAILY), [None], DAILY, PAST)[0]) == 1


@pytest.mark.parametrize(
    ("contract", "rows", "fresh"),
    [
        (CHURN, 500, 3),
        (CHURN, 2, 2),
        (RANKING, 500, 4),  # two complete queries
        (ProblemContract(task="anomaly", target="y"), 500, 3),  # from the second last label on
        (ProblemContract(task="anomaly"), 500, 3),
    ],
)
def test_at_most_three_tenths_are_held_out(contract, rows, fresh):
    assert count_fresh(TEN, contract, rows) == fresh


@pytest.mark.parametrize(("rows", "fresh"), [(500, 28), (20, 14)])
def test_complete_horizons_of_all_series_are_held_out(rows, fresh):
    assert count_fresh(pd.DataFrame({"a": DAYS}), WEEKLY, rows, DAYS) == fresh


def test_rows_are_sent_as_a_client_sends_them():
    table = pd.DataFrame({"a": [1.5, np.nan], "b": [pd.Timestamp("2024-01-01"), None], "c": 1})
    assert plain_rows(table, {"a", "b"}) == [{"a": 1.5, "b": "2024-01-01T00:00:00"}, {"a": None, "b": None}]


def test_rows_of_each_task_are_counted_under_their_name():
    assert traits_of("binary").collected == "labeled rows of the log" != traits_of("ranking").collected
