"""Arrow columns: the values that the service reads from JSON, from every type that a file may have."""

from dataclasses import replace
from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from mlnb.methods.tables.columns import Column
from mlnb.serving.batch.arrow_columns import describe_cell, read_column, to_list

NUMBER, CATEGORY, BOOLEAN, DATE = (
    Column("x", kind, nullable=True) for kind in ("number", "category", "boolean", "date")
)


def expand(values):
    return values.values if values.codes is None else values.values[values.codes]


def test_numbers_are_read_as_they_are():
    values = read_column(pa.array([1, None, 3]), NUMBER, 3, text=False)
    np.testing.assert_array_equal(expand(values), [1.0, np.nan, 3.0])
    assert (values.codes, values.bad, len(values)) == (None, None, 3)


def test_infinite_numbers_are_bad():
    values = read_column(pa.array([1.0, -np.inf]), NUMBER, 2, text=False)
    assert values.bad.tolist() == [False, True]
    np.testing.assert_array_equal(expand(values), [1.0, np.nan])


@pytest.mark.parametrize("cell", ["forty", "1_000", "0x10", "١"])
def test_cells_without_a_number_are_bad(cell):
    values = read_column(pa.array([" 1.5 ", "NA", cell, "", "-2e3"]), NUMBER, 5, text=True)
    assert values.bad.tolist() == [False, False, True, False, False]
    np.testing.assert_array_equal(expand(values), [1.5, np.nan, np.nan, np.nan, -2000.0])


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["35.129", "862", "-1.500", None], [True, False, True, False]),
        (["35.129", "0.5"], None),  # fractions are written with a point here
        (["35129", "862.0"], None),
        (["0.129", "862"], None),
    ],
)
def test_whole_numbers_with_points_between_thousands_are_bad(cells, bad):
    whole = replace(NUMBER, integer=True)
    values = read_column(pa.array(cells), whole, len(cells), text=True)
    assert (values.bad if values.bad is None else values.bad.tolist()) == bad
    assert read_column(pa.array(cells), NUMBER, len(cells), text=True).bad is None, "training had fractions"
    assert describe_cell(whole, "a finite number", "35.129").startswith("a whole number as in training")
    assert describe_cell(whole, "a finite number", "x") == "a finite number"


def test_each_category_is_read_once():
    values = read_column(pa.array(["a", "b", None, "a"]), CATEGORY, 4, text=False)
    assert values.values.tolist() == ["a", "b", None]
    assert values.codes.tolist() == [0, 1, 2, 0]


def test_values_of_another_type_are_bad():
    assert read_column(pa.array(["yes?", "true"]), BOOLEAN, 2, text=True).bad.tolist() == [True, False]
    assert read_column(pa.array(["3", "4"]), NUMBER, 2, text=False).bad.all()


@pytest.mark.parametrize("repeats", [1, 10])
def test_timestamps_and_texts_are_the_same_dates(repeats):
    days = [datetime(2020, 1, 2, 3, 4, 5), None] * repeats
    stamps = read_column(pa.array(days), DATE, len(days), text=False)
    texts = read_column(pa.array([None if d is None else d.isoformat() for d in days]), DATE, len(days), text=True)
    np.testing.assert_array_equal(expand(stamps), expand(texts))
    assert read_column(pa.array([date(2020, 1, 2)]), DATE, 1, text=False).bad is None


def test_a_column_that_is_missing_holds_missing_values():
    values = read_column(None, CATEGORY, 3, text=False)
    assert (values.values.tolist(), values.codes.tolist()) == ([None], [0, 0, 0])


def test_nanoseconds_become_plain_values():
    array = pa.array([1_577_934_245_000_000_001], pa.timestamp("ns"))
    assert str(to_list(array)[0]) == "2020-01-02 03:04:05.000000001"
