"""Labels by item, by timestamp and by step are joined to predictions, whichever arrives first."""

import pandas as pd
import pytest

from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract, Ruler
from mlnb.methods.operations.label_matching import find_labels
from mlnb.methods.operations.labeled_feedback import steps_of
from mlnb.monitoring.label_files import label_rows
from mlnb.monitoring.labels import add_labels, read_labels

CHURN = ProblemContract(task="binary", target="y")
RANKING = ProblemContract(task="ranking", target="grade", query="q", item="film")
DAILY = ProblemContract(task="forecasting", target="sold", time="day", series=("shop",), ruler=Ruler(unit="D"))


def picked(rows, contract, label="y"):
    return list(label_rows(rows, contract, "request", label, "row"))


def log(**columns):
    count = len(next(iter(columns.values())))
    return pd.DataFrame({"request": ["a"] * count, "row": range(count), "time": 0.0, "model": "v1", **columns})


def forecasts(request="a", time=0.0, model="v1", first=6):
    stamps = [f"2024-01-{day:02d}" for day in (first, first + 1)]
    about = {"request": request, "time": time, "model": model}
    responses = {"out.time": stamps, "out.shop": "north", "out.prediction": [1.0, 2.0]}
    return steps_of(log(**responses).assign(**about), DAILY)


def test_rows_are_joined_by_number_and_unknown_requests_are_not(tmp_path):
    database = tmp_path / "labels.db"
    add_labels(database, picked([{"request": "a", "row": 1, "y": "yes"}, {"request": "x", "y": "no"}], CHURN), 0.0)
    assert find_labels(log(**{"in.age": [1, 2]}), read_labels(database), CHURN) == [None, "yes"]


def test_rows_of_a_file():
    rows = [{"id": "a", "y": 1.0}, {"id": "a", "row": 1, "y": float("nan")}, {"id": "b", "row": "0", "y": ""}]
    assert list(label_rows(rows, CHURN, "id", "y", "row")) == [("a", 0, 1.0), ("a", 1, None), ("b", 0, None)]
    with pytest.raises(UsageError, match="no column 'label'"):
        list(label_rows(rows, CHURN, "id", "label", "row"))
    for wrong in ("first", -1, 1.5):
        with pytest.raises(UsageError, match=f"Line 1: found {wrong!r} as number of the row"):
            list(label_rows([{"id": "a", "row": wrong, "y": 1}], CHURN, "id", "y", "row"))


def test_a_repeated_request_has_one_label():
    twice = pd.concat([log(**{"in.age": [1]}), log(**{"in.age": [1]}).assign(time=5.0)], ignore_index=True)
    other = log(**{"in.age": [1]}).assign(model="v2")
    labels = {("a", 0): ("yes", 0.0)}
    assert find_labels(pd.concat([twice, other], ignore_index=True), labels, CHURN) == [None, "yes", "yes"]


def test_rankings_are_joined_by_item_or_by_row(tmp_path):
    database = tmp_path / "labels.db"
    rows = [{"request": "a", "film": 7.0, "grade": 3}, {"request": "a", "film": "8", "grade": 0}]
    assert add_labels(database, picked(rows, RANKING, "grade"), 0.0).new == 2
    assert add_labels(database, picked(rows, RANKING, "grade"), 1.0).unchanged == 2
    assert find_labels(log(**{"in.film": ["8", "7", "9"]}), read_labels(database), RANKING) == ["0", "3", None]
    add_labels(database, picked([{"request": "a", "row": 2, "grade": 1}], RANKING, "grade"), 2.0)
    assert find_labels(log(**{"in.film": ["8", "7", "9"]}), read_labels(database), RANKING) == ["0", "3", "1"]
    assert find_labels(log(**{"in.match": [1, 2, 3]}), read_labels(database), RANKING) == [None, None, "1"]


def test_forecasts_are_joined_by_timestamp_step_and_for_every_request(tmp_path):
    database = tmp_path / "labels.db"
    early = [{"request": "a", "day": "2024-01-06T15:00:00", "shop": "north", "sold": 5}]  # within the day
    add_labels(database, picked(early, DAILY, "sold"), 0.0)  # before the segment is there
    add_labels(database, picked([{"request": "b", "step": 2, "shop": "north", "sold": 8}], DAILY, "sold"), 0.0)
    add_labels(database, picked([{"day": "2024-01-07", "shop": "north", "sold": 9}], DAILY, "sold"), 0.0)
    labels = read_labels(database)
    assert find_labels(forecasts("a"), labels, DAILY) == ["5", "9"]
    assert find_labels(forecasts("b"), labels, DAILY) == [None, "8"]  # its own label before that of all
    assert find_labels(forecasts("c", first=7), labels, DAILY) == ["9", None]
    assert find_labels(forecasts("c").assign(**{"out.shop": "south"}), labels, DAILY) == [None, None]


def test_a_value_that_changes_is_a_conflict_unless_it_replaces(tmp_path):
    database = tmp_path / "labels.db"
    rows = [{"day": "2024-01-07", "shop": "north", "sold": 9}]
    add_labels(database, picked(rows, DAILY, "sold"), 0.0, requests={"a": 1})
    changed = picked([{**rows[0], "sold": 10}], DAILY, "sold")
    refused = add_labels(database, changed, 1.0, requests={"a": 1})
    assert [conflict[2:] for conflict in refused.conflicts] == [("9", "10")] and refused.unknown == []
    add_labels(database, changed, 2.0, replace=True)
    assert find_labels(forecasts("a"), read_labels(database), DAILY) == [None, "10"]


def test_a_label_file_of_forecasts_needs_its_columns():
    whole = {"request": "a", "day": "2024-01-07", "shop": "north", "sold": 9}
    assert [value for _, _, value in picked([{**whole, "sold": ""}], DAILY, "sold")] == [None]
    for lacking, says in (("sold", "no column 'sold'"), ("shop", "no column 'shop'"), ("day", "no column 'step'")):
        row = {name: value for name, value in whole.items() if name != lacking}
        with pytest.raises(UsageError, match=says):
            picked([row], DAILY, "sold")
    with pytest.raises(UsageError, match="no column 'request'"):
        picked([{"step": 1, "shop": "north", "sold": 9}], DAILY, "sold")
    with pytest.raises(UsageError, match="Line 1: found 'soon'"):
        picked([{**whole, "day": "soon"}], DAILY, "sold")
