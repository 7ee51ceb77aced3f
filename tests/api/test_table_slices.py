"""Slices of data frames hold what the rows hold, whatever the types of the columns."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.api.table_slices import expand_vectors, slice_frame, to_json_value
from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.table_bodies import to_rows

SCHEMA = Schema((Column("number", "number", nullable=True), Column("letter", "category", nullable=True)), rows=10)
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


def rows_of(frame, whole=False):
    return [row for part in slice_frame(frame, SCHEMA, whole) for row in to_rows(part)]


@settings(max_examples=60)
@given(st.lists(st.tuples(NUMBERS, st.none() | st.text(max_size=3)), min_size=1, max_size=20), st.booleans())
def test_slices_hold_the_values_of_the_rows(pairs, category):
    frame = pd.DataFrame(pairs, columns=["number", "letter"]).astype({"number": float})
    if category:
        frame["letter"] = frame["letter"].astype("category")
    assert rows_of(frame) == [{"number": number, "letter": letter} for number, letter in pairs]


@settings(max_examples=60)
@given(st.lists(st.none() | st.booleans() | st.integers(0, 1) | st.floats(0, 1) | st.text(max_size=1), max_size=20))
def test_values_of_several_types_keep_their_types(values):
    rows = rows_of(pd.DataFrame({"number": range(len(values)), "letter": pd.Series(values, dtype=object)}))
    kinds = [(isinstance(value, str), isinstance(value, bool), value) for value in values]  # 1 and 1.0 are one number
    assert [(isinstance(row["letter"], str), isinstance(row["letter"], bool), row["letter"]) for row in rows] == kinds


def test_rows_that_are_scored_together_are_one_slice():
    frame = pd.DataFrame({"number": range(10_000), "letter": "a"})
    assert [part.rows for part in slice_frame(frame, SCHEMA, whole=True)] == [10_000]
    assert [part.rows for part in slice_frame(frame, SCHEMA, whole=False)] == [4_096, 4_096, 1_808]
    assert [part.rows for part in slice_frame(frame[:0], SCHEMA, whole=True)] == []


def test_instants_that_python_has_no_values_for_are_refused():
    years = pa.array([300_000_000_000], pa.timestamp("s")).to_pandas(date_as_object=False)
    schema = Schema((Column("day", "date"),), rows=1)
    with pytest.raises(BadRows, match=r"column 'day': found values of type timestamp.*expected dates from 1678"):
        list(slice_frame(pd.DataFrame({"day": years}), schema, whole=False))


def test_lists_of_vector_columns_become_numbers():
    frame = pd.DataFrame({"e": [[1, 2.5], None, np.array([3, np.nan])], "a": [1, 2, 3]}, index=[7, 8, 9])
    expanded = expand_vectors(frame, {"e": 2, "other": 3})
    assert list(expanded.columns) == ["a", "e[0]", "e[1]"] and expanded.index.tolist() == [7, 8, 9]
    assert expanded["e[0]"].tolist()[::2] == [1.0, 3.0] and expanded["e[1]"].isna().tolist() == [False, True, True]
    assert expand_vectors(frame[["a"]], {"e": 2}).equals(frame[["a"]])
    assert to_json_value(np.array([3, np.nan])) == to_json_value([np.float32(3), None]) == [3.0, None]
    for wrong in ([1.0], "ab", [[1.0, 2.0]], ["a", "b"]):
        with pytest.raises(BadRows, match=r"row 0, column 'e': found .* expected a list of 2 numbers"):
            expand_vectors(pd.DataFrame({"e": [wrong]}), {"e": 2})
