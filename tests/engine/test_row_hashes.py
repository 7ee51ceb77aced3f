"""Hashes of rows: the same for equal rows in any order and type, and different for different rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.engine.row_hashes import count_shared, row_hashes

TABLE = pd.DataFrame(
    {
        "number": [1.5, np.nan, -0.0, 4.0],
        "count": [1, 2, 3, 4],
        "text": ["a", None, "", "a"],
        "when": pd.to_datetime(["2026-01-01", None, "2026-01-03", "2026-01-04"]),
        "group": pd.Categorical(["x", "y", "x", None]),
        "flag": [True, False, True, False],
    }
)
SAME: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "rows in another order": lambda table: table.iloc[::-1],
    "columns in another order": lambda table: table[table.columns[::-1]],
    "another index": lambda table: table.set_axis(list("abcd")),
    "integers as floats": lambda table: table.astype({"count": float}),
    "a category as text": lambda table: table.astype({"group": object}),
    "text as a category": lambda table: table.astype({"text": "category"}),
    "nullable integers": lambda table: table.astype({"count": "Int64"}),
    "another resolution": lambda table: table.astype({"when": "datetime64[s]"}),
    "zero without its sign": lambda table: table.assign(number=table["number"] + 0.0),
}


@pytest.mark.parametrize("name", SAME)
def test_equal_rows_have_equal_hashes(name: str) -> None:
    assert row_hashes(SAME[name](TABLE)).tolist() == row_hashes(TABLE).tolist()


@pytest.mark.parametrize("column", TABLE.columns)
def test_another_value_or_name_is_another_row(column: str) -> None:
    changed = TABLE.copy()
    other = {"number": 9.0, "count": 9, "text": "b", "when": pd.Timestamp("2026-02-01"), "group": "y", "flag": False}
    changed.loc[0, column] = other[column]
    assert count_shared(row_hashes(changed), row_hashes(TABLE)) == 3
    assert count_shared(row_hashes(TABLE.rename(columns={column: "other"})), row_hashes(TABLE)) == 0


def test_exchanged_values_of_two_columns_are_another_row() -> None:
    first, second = pd.DataFrame({"a": [1], "b": [2]}), pd.DataFrame({"a": [2], "b": [1]})
    assert count_shared(row_hashes(first), row_hashes(second)) == 0


def test_large_integers_are_distinguished() -> None:
    large = pd.DataFrame({"id": [2**60, 2**60 + 1]})
    assert len(set(row_hashes(large).tolist())) == 2
    assert count_shared(row_hashes(large.head(1)), row_hashes(large)) == 1


def test_only_tables_and_arrays_have_rows() -> None:
    assert row_hashes({"a": 1}) is None and row_hashes("text") is None
    assert row_hashes(np.zeros((3, 2))).shape == (3,) and row_hashes(np.zeros(3)).shape == (3,)
    assert row_hashes(pd.DataFrame({"a": []})).shape == (0,)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), max_size=12), st.lists(st.integers(0, 5), max_size=12))
def test_a_row_counts_as_often_as_it_is_in_both(first: list[int], second: list[int]) -> None:
    shared = sum(min(first.count(value), second.count(value)) for value in range(6))
    tables = [row_hashes(pd.DataFrame({"a": pd.Series(values, dtype="int64")})) for values in (first, second)]
    assert count_shared(*tables) == shared


def test_the_hashes_are_those_of_earlier_versions() -> None:
    expected = [5091715076777046143, 17690685624878134841]  # of files that an earlier version has written
    assert row_hashes(pd.DataFrame({"x": [1.0, 2.5], "y": ["a", "b"]})).tolist() == expected
