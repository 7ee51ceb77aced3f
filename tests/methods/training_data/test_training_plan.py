"""Plans for tables of many sizes and shapes."""

import pytest

from mlnb.codec import from_json, to_json
from mlnb.errors import DataError
from mlnb.methods.contracts.split_plans import SplitPlan
from mlnb.methods.models.search_spaces import searched_families
from mlnb.methods.training_data.training_plan import plan_for


def test_families_suit_the_task_and_the_size() -> None:
    plain, wide = plan_for(5000, 20, "binary", 0.4), plan_for(1000, 2000, "multiclass", 0.2)
    assert "lightgbm" in plain.families and set(plan_for(5000, 20, "ranking").families) <= set(
        searched_families("ranking")
    )
    left = set(searched_families("multiclass")) - set(wide.families)
    assert wide.shape == ("wide",) and left and all(family in wide.reasons["families"] for family in left)
    assert plan_for(62, 100).shape == ("tiny", "wide")  # more columns than rows is wide at any size


def test_folds_of_a_rare_class() -> None:
    assert plan_for(200, 10, "binary", 0.02).folds == 2  # 4 rows: the most folds that are possible
    assert plan_for(10**6, 30, "binary", 0.0001).folds == 3  # 100 rows in a million are enough for three


def test_only_classes_have_weights_and_only_single_rows_repeats() -> None:
    tiny, plain = plan_for(200, 8, "regression"), plan_for(5000, 20, "binary", 0.4)
    assert "class_weight" not in tiny.reasons and "class_weight" in plain.reasons
    assert plan_for(200, 8, "ranking").repeats == 1 < tiny.repeats


def test_a_plan_is_the_same_after_json() -> None:
    plan = plan_for(300, 4, "binary", 0.05)
    assert from_json(SplitPlan, to_json(plan)) == plan and to_json(plan)["schema"] == "split_plan/1"


@pytest.mark.parametrize("wrong", [(0, 3), (3, 0), (100, 3, "binary", 0.7), (100, 3, "binary", 0.0)])
def test_tables_without_a_plan(wrong: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="expected"):
        plan_for(*wrong)
