"""Fairness: the measures agree with Fairlearn; small groups, numbers and gate lines."""

import numpy as np
import pytest
from fairlearn import metrics as fairlearn

from mlnb.methods.evaluation.fairness import compare_groups

N = 3000
RANDOM = np.random.default_rng(0)
SEX = RANDOM.choice(["female", "male"], N, p=[0.35, 0.65]).astype(object)
Y = (RANDOM.random(N) < 0.4).astype(int)
PREDICTED = ((Y + RANDOM.normal(0, 0.5, N) + 0.25 * (SEX == "male")) > 0.6).astype(int)


@pytest.mark.parametrize("measure", ["equalized_odds", "equal_opportunity", "demographic_parity"])
def test_differences_are_those_of_fairlearn(measure: str) -> None:
    difference = compare_groups(Y, PREDICTED, SEX, measure).difference
    expected = getattr(fairlearn, f"{measure}_difference")(Y, PREDICTED, sensitive_features=SEX)
    assert np.isclose(difference.value, expected) and difference.low < difference.value < difference.high


def test_small_groups_are_not_compared() -> None:
    few = SEX.copy()
    few[:5] = "other"
    small = compare_groups(Y, PREDICTED, few, "equal_opportunity")
    assert [group.compared for group in small.groups] == [True, True, False] and small.groups[2].rows == 5
    assert compare_groups(Y, PREDICTED, np.full(N, "all", dtype=object), "accuracy").difference.value is None


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("measure", ["equalized_odds", "demographic_parity", "accuracy", "mae"])
def test_a_few_rows_are_not_compared(measure: str, rows: int) -> None:
    for groups in (["a"] * rows, [*"abc"][:rows]):
        compared = compare_groups(Y[:rows], PREDICTED[:rows], np.array(groups, dtype=object), measure)
        assert compared.difference.value is None and sum(group.rows for group in compared.groups) == rows


def test_one_class_leaves_one_rate() -> None:
    negatives = compare_groups(np.zeros(N, dtype=int), PREDICTED, SEX, "equalized_odds")
    assert negatives.groups[0].rates["true_positive"] is None and negatives.difference.value > 0


def test_measures_of_numbers() -> None:
    price = RANDOM.normal(10, 2, N)
    guess = price + RANDOM.normal(0, 1 + (SEX == "male"), N) + 0.5 * (SEX == "female")
    assert compare_groups(price, guess, SEX, "mae").difference.low > 0.2
    assert compare_groups(price, guess, SEX, "mean_prediction").groups[0].rates["mean_prediction"] > 0.2
    assert compare_groups(price, price, SEX, "mae").difference.value == 0


def test_unknown_measure() -> None:
    with pytest.raises(ValueError, match="equalized_odds"):
        compare_groups(Y, PREDICTED, SEX, "unknown")
