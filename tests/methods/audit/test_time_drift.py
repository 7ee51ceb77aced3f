"""Drift between the oldest and the newest rows: stable tables, planted changes, columns of time."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.audit.time_drift import compare_ends, drift_findings, find_order
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema

BINARY = ProblemContract(task="binary", target="y")


def rows(seed: int, count: int = 600) -> tuple[pd.DataFrame, Schema]:
    """A table whose columns do not depend on the day."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame({f"x{n}": random.normal(size=count) for n in range(8)})
    table["shop"] = random.choice(["north", "south"], count)
    table["day"] = pd.date_range("2023-01-01", periods=count)
    table["y"] = random.choice(["no", "yes"], count)
    numbers = tuple(Column(f"x{n}", "number") for n in range(8))
    columns = (*numbers, Column("shop", "category"), Column("day", "date"), Column("y", "category", "target"))
    return table, Schema(columns, count)


def test_stable_tables_do_not_drift() -> None:
    assert sum(bool(drift_findings(compare_ends(*rows(seed), BINARY))) for seed in range(20)) <= 1


@pytest.mark.parametrize("column", ["x3", "shop", "y"])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_a_planted_change_is_named(column: str, order: str) -> None:
    table, schema = rows(0)
    late = np.arange(600) >= 350
    table.loc[late, column] = {"x3": 2.0, "shop": "west", "y": "yes"}[column]
    table = {"rising": table, "falling": table.iloc[::-1], "shuffled": table.sample(frac=1, random_state=1)}[order]
    drift = compare_ends(table.reset_index(drop=True), schema, BINARY)
    assert drift is not None and [one.column for one in drift.drifted] == [column]
    assert drift.order == "day" and drift.until < drift.since and drift.rows == 200


def test_order_of_the_rows() -> None:
    table, schema = rows(0)
    numbered = table.assign(x0=np.arange(600.0)).drop(columns="day")
    without = Schema(tuple(c for c in schema.columns if c.name != "day"), 600)
    assert find_order(table, schema, BINARY) == schema.column("day")
    assert find_order(numbered, without, BINARY) == schema.column("x0")
    assert find_order(numbered.sample(frac=1, random_state=0), without, BINARY) is None
    constant = table.assign(day=pd.Timestamp("2024-01-01"))
    assert compare_ends(constant, schema, BINARY) is None
    assert compare_ends(table.head(80), schema, BINARY) is None
