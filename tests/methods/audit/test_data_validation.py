"""Data validation: copies that differ in a unique column alone are reported, and ordinary rows are not."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.problem.problem_contract import state
from mlnb.stages.validate import audit_table, type_table

random = np.random.default_rng(0)
ROWS = 80
NOISE = pd.DataFrame(
    {
        "a": random.normal(size=ROWS).round(3),
        "b": random.normal(size=ROWS).round(3),
        "c": random.choice([*"xyz"], ROWS),
        "y": random.choice(["yes", "no"], ROWS),
    }
)
DAYS = pd.date_range("2024-01-01", periods=4 * ROWS).strftime("%Y-%m-%d")


def near_copies(raw):
    """Rows of the finding of near copies; None without it."""
    contract, schema, table, _ = type_table(raw, state("y"), {})
    findings = audit_table(table, schema, contract)[1]
    return next((finding.rows for finding in findings if finding.check == "near copies"), None)


@pytest.mark.parametrize("order", ["repeated", "shuffled"])
@pytest.mark.parametrize("column", [DAYS, np.arange(4 * ROWS) * 0.25, np.linspace(0, 1e-9, 4 * ROWS)])
def test_copies_with_a_unique_column_are_reported(order, column):
    copies = pd.concat([NOISE] * 4, ignore_index=True).assign(when=column)
    assert near_copies(copies if order == "repeated" else copies.sample(frac=1, random_state=0)) == 3 * ROWS


def test_ordinary_rows_are_not_reported():
    assert near_copies(NOISE.assign(when=DAYS[:ROWS])) is None
    few = pd.DataFrame({"c": NOISE["c"], "d": NOISE["c"].to_numpy()[::-1], "when": DAYS[:ROWS], "y": NOISE["y"]})
    assert near_copies(few) is None, "few categories are equal by chance"
    assert near_copies(pd.concat([NOISE] * 4)) is None, "exact copies have their own finding"
