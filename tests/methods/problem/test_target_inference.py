"""Target inference: names of classes, whole numbers, positive classes and targets that suit no task."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.problem.target_inference import choose_positive, count_classes, infer_task, name_classes


def test_whole_numbers_are_classes_or_values() -> None:
    few = pd.Series([1, 2, 3] * 10)
    assert infer_task(few) == ("multiclass", "inferred: the target has 3 different whole numbers in 30 rows")
    assert infer_task(few, ["regression"])[0] == "regression" and infer_task(pd.Series(range(30)))[0] == "regression"


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([1, 1.0, True, "1", None], ["1", "1", "true", "1", None]),
        ([" yes", "no", None], ["yes", "no", None]),
        ([True, False], ["true", "false"]),
        ([], []),
    ],
)
def test_class_names(values: list[Any], names: list[str | None]) -> None:
    assert name_classes(pd.Series(values, dtype=object)).tolist() == names


def test_classes_are_sorted_and_the_rarer_one_is_positive() -> None:
    assert list(count_classes(["b", "a"])) == ["a", "b"]
    assert choose_positive({"good": 9, "ill": 5}) == ("ill", "inferred: the rarer class, 5 of 14 rows")
    assert choose_positive({"good": 9, "ill": 5}, "GOOD") == ("good", "stated")
    for positive, negative in [("1", "0"), ("yes", "no"), ("true", "false"), ("churn", "stays")]:
        assert choose_positive({positive: 9, negative: 5})[0] == negative  # the rarer, whatever the names
        assert choose_positive({positive: 5, negative: 9})[0] == positive
        assert choose_positive({negative: 5, positive: 5})[0] == positive  # as many rows: the typical name
    with pytest.raises(ValueError, match=r"did you mean 'yes'\?"):
        choose_positive({"yes": 1, "no": 2}, "yess")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([f"name {i}" for i in range(99)], "99 different texts in 99 rows"),
        ([str(2**53 + i) for i in range(99)], r"whole numbers beyond 2\*\*53"),
        (pd.to_datetime(["2024-01-01", "2024-01-02"] * 9), "holds dates"),
    ],
)
def test_targets_that_suit_no_task(values: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        infer_task(pd.Series(values, name="x"))


def test_many_different_numbers() -> None:
    assert infer_task(pd.Series(np.linspace(0, 1, 30)))[0] == "regression"
