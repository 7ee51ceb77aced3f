"""Many values at once against one value at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.methods.tables.columns import Column, Schema, check_rows, rows_fit, to_array
from mlnb.methods.tables.value_lists import all_fit, convert_once, read_column, to_numbers
from mlnb.methods.tables.values import fits, to_label

KINDS = ("number", "boolean", "category", "text", "date")
WORDS = st.sampled_from(
    ["", " S ", "yes", "NA", "2024-02-29", "2024-02-29T12:00:00+02:00", "2024-13-01", "1", "é", "é"]
)
JSON = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), WORDS, st.sampled_from([10**400, [], {"a": 1}, 2**63])
)
PLAIN = st.one_of(st.none(), WORDS, st.booleans())
LISTS = st.one_of(
    st.lists(JSON, max_size=8), st.lists(PLAIN, max_size=30), st.lists(st.floats() | st.none(), max_size=8)
)


@given(LISTS, st.sampled_from(KINDS))
def test_all_fit_is_true_only_where_each_value_fits(values, kind):
    each = all(fits(value, kind) for value in values)
    assert each or not all_fit(values, kind)
    if set(map(type, values)) <= {str, type(None)} or (kind == "number" and set(map(type, values)) <= {float}):
        assert all_fit(values, kind) == each  # it is certain about what JSON mostly has


@given(LISTS, st.sampled_from(KINDS), st.sampled_from([(), (-3.0, 0.0)]))
def test_a_list_is_the_array_of_its_values(values, kind, sentinels):
    column = Column("x", kind, sentinels=sentinels if kind == "number" else ())
    try:
        each = [to_array((value,), column) for value in values]
    except ValueError:
        with pytest.raises(ValueError, match="column 'x', row"):
            to_array(values, column)
        return
    array = to_array(values, column)
    assert array.dtype == (object if kind in ("category", "text") else np.float64)
    whole = np.concatenate([np.array([], dtype=array.dtype), *each])
    assert array.tolist() == whole.tolist() if array.dtype == object else array.tobytes() == whole.tobytes()


@given(st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), JSON), max_size=5))
def test_rows_that_fit_have_no_problem(rows):
    schema = Schema((Column("a", "number"), Column("b", "category", nullable=False)))
    whole = rows_fit(rows, schema)
    alone = [problem for row in rows for problem in check_rows([dict(row), {}], schema) if problem.row == 0]
    assert not whole or not alone
    assert [problem.column for problem in check_rows(rows, schema)] == [problem.column for problem in alone]


def test_numbers_that_are_equal_may_be_different_categories():
    assert convert_once([1, True], to_label) is None and convert_once([1.0], to_label) is None
    assert to_array([1, True, 1.0, "1"], Column("x", "category")).tolist() == ["1", "true", "1", "1"]
    assert to_numbers([math.nan, None, 3]).tobytes() == np.array([np.nan, np.nan, 3.0]).tobytes()


def test_a_column_of_rows_that_may_lack_it():
    assert read_column([{"a": 1}, {"a": None, "b": 2}], "a") == ([1, None], True)
    assert read_column([{"a": 1}, {"b": 2}], "a") == ([1, None], False)
    assert read_column([], "a") == ([], True)
