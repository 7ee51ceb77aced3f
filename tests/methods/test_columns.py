"""One row gives the bits of the whole, whatever the values; what passes the check becomes arrays without an error."""

import math
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Column, Schema, check_rows, to_array, to_arrays
from mlnb.methods.tables.values import to_label

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["yes", "2024-02-29"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
numbers = st.none() | st.floats(allow_nan=True, allow_infinity=False) | st.integers(-(10**18), 10**18) | st.booleans()
labels = st.none() | st.text(max_size=6) | st.floats() | st.integers() | st.booleans()
moments = (
    st.none() | st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)) | st.dates(date(1700, 1, 1), date(2200, 1, 1))
)
schema = Schema(
    (
        Column("number", "number"),
        Column("boolean", "boolean"),
        Column("category", "category"),
        Column("text", "text"),
        Column("date", "date"),
        Column("needed", "number", nullable=False),
        Column("y", "category", "target"),
    )
)


def same(a, b):
    """Whether two arrays are equal to the bit."""
    return a.tobytes() == b.tobytes() if a.dtype != object else a.tolist() == b.tolist()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("number", numbers),
        ("category", labels),
        ("text", labels),
        ("date", moments),
        ("boolean", st.none() | st.booleans()),
    ],
)
@given(data=st.data())
@settings(max_examples=60)
def test_one_row_is_a_row_of_the_batch(kind, values, data):
    batch, column = data.draw(st.lists(values, min_size=1, max_size=12)), Column("c", kind)
    whole = to_array(batch, column)
    assert whole.dtype == (object if kind in ("category", "text") else np.float64)
    assert same(whole, np.concatenate([to_array([value], column) for value in batch]))


@given(st.lists(st.none() | st.floats(allow_infinity=False, allow_nan=False), min_size=1, max_size=20))
def test_a_list_a_column_and_an_array_agree(values):
    column = Column("c", "number")
    assert same(to_array(values, column), to_array(pd.Series(values, dtype=float).to_numpy(), column))


@given(st.lists(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)), min_size=1, max_size=9))
def test_dates_agree_in_every_representation(moments):
    column = Column("c", "date")
    expected = to_array(moments, column)
    assert same(expected, to_array([m.isoformat() for m in moments], column))
    assert same(expected, to_array([m.replace(tzinfo=UTC).isoformat() for m in moments], column))
    assert same(expected, to_array(np.array(moments, "datetime64[us]"), column))
    assert same(expected, to_array(pd.Series(moments).to_numpy(), column))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_labels_of_numbers_read_back(value):
    assert float(to_label(value)) == value


@given(st.dictionaries(st.sampled_from([*schema.names, "unknown"]), json_values), json_values)
@settings(max_examples=300)
def test_what_passes_the_check_becomes_arrays(row, other):
    row["needed"] = other
    problems = check_rows([row], schema)
    assert all(isinstance(p, RowProblem) for p in problems)
    if not problems:
        arrays = to_arrays([row], schema)
        assert not any(math.isinf(a[0]) for a in arrays.values() if a.dtype != object)


@given(json_values)
def test_the_check_never_raises(anything):
    check_rows(anything, schema)
    check_rows([anything], schema)


def test_schema_survives_json():
    assert Schema.from_json(schema.to_json()) == schema
