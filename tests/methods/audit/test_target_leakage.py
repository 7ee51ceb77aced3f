"""Target leakage: few rows, the last feature, unknown policies and shared rows."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.audit.target_leakage import find_leaks, score_features, shared_rows
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.problem.problem_contract import complete, state
from mlnb.methods.tables.columns import Schema
from mlnb.methods.tables.type_inference import clean

N = 300


@pytest.fixture
def customers() -> tuple[pd.DataFrame, Schema, ProblemContract]:
    random = np.random.default_rng(0)
    left = random.integers(0, 2, N)
    raw = pd.DataFrame({
        "months": random.integers(1, 60, N) - 8 * left,
        "plan": random.choice(["S", "M", "L"], N),
        "refunded": np.where(left, "yes", "no"),
        "churn": np.where(left, "Yes", "No"),
    }).astype(str)  # fmt: skip
    table, schema, _ = clean(raw, "churn")
    return table, schema, complete(state("churn"), table["churn"])


def test_nothing_is_dropped_of_few_rows(customers: tuple[pd.DataFrame, Schema, ProblemContract]) -> None:
    table, schema, contract = customers
    assert len(find_leaks(table.head(20), schema, contract)[0].features) == 3


def test_the_last_feature_stays(customers: tuple[pd.DataFrame, Schema, ProblemContract]) -> None:
    table, schema, contract = customers
    only = Schema(tuple(c for c in schema.columns if c.name in ("refunded", "churn")), N)
    leaked, findings, _ = find_leaks(table, only, contract)
    assert len(leaked.features) == 1 and "the last feature" in findings[0].action


def test_unknown_policy(customers: tuple[pd.DataFrame, Schema, ProblemContract]) -> None:
    with pytest.raises(ValueError, match="expected drop, stop or keep"):
        find_leaks(*customers, "ignore")


def test_scores_and_shared_rows(customers: tuple[pd.DataFrame, Schema, ProblemContract]) -> None:
    table, schema, contract = customers
    skills = score_features(table, schema, contract)
    assert next(iter(skills)) == "refunded" and list(skills)[-1] in ("months", "plan")
    assert shared_rows(table.head(200), table.tail(101), schema) >= 1
