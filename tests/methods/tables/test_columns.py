"""Values and tables as arrays, and the problems of requests."""

import math

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat
from mlnb.methods.tables.columns import Column, Schema, TableArrays, check_rows, column_array, take_columns, to_array

FARE = Column("fare", "number", nullable=False)
PORT = Column("port", "category")
ALONE = Column("alone", "boolean", nullable=False)
BORN = Column("born", "date")
SCHEMA = Schema((FARE, PORT, ALONE, BORN))
TABLE = pd.DataFrame({"fare": [7.25, 8.0], "port": ["S", None], "alone": [True, False], "born": ["1890-05-01", None]})


def test_missing_values_and_sentinels_are_nan():
    coded = Column("age", "number", sentinels=(-999.0,))
    assert np.array_equal(to_array([-999, 31], coded), [np.nan, 31.0], equal_nan=True)
    assert np.array_equal(to_array(np.array([31.0, -999.0]), coded), [31.0, np.nan], equal_nan=True)
    assert to_array(np.array([1.0, np.nan]), PORT).tolist() == ["1", None]
    assert np.isnan(to_array(np.array(["NaT"], "datetime64[us]"), BORN)[0])
    assert to_array(np.array(["1969-12-31T23:59:59.5"], "datetime64[ms]"), BORN).tolist() == [-0.5]
    assert to_array([], FARE).shape == (0,) and to_array([], PORT).dtype == object


def test_a_local_day_is_that_day_whatever_the_offset():
    local = Column("day", "date", format=ColumnFormat(date=DateFormat(zone="local", offset="+02:00")))
    texts = ["2024-07-01T00:00:00+02:00", "2024-07-01T00:00:00-05:00", "2024-07-01"]
    assert len(set(to_array(texts, local).tolist())) == 1
    assert len(set(to_array(texts, BORN).tolist())) == 3


def test_categories_of_several_types_are_texts():
    mixed = pd.DataFrame({"port": [1, "1", True, 1.0, None, " S"]})
    assert column_array(mixed, PORT).tolist() == ["1", "1", "true", "1", None, "S"]
    texts = pd.DataFrame({"port": pd.Series(["S", "?", None, "C", "S "], dtype="str")})
    assert column_array(texts, PORT).tolist() == ["S", None, None, "C", "S"]


def test_arrays_are_made_when_they_are_read():
    lazy = TableArrays(TABLE, SCHEMA)
    assert list(lazy) == list(SCHEMA.names) and len(lazy) == 4 and lazy["fare"].tolist() == [7.25, 8.0]
    assert "age" not in lazy
    once = TableArrays(TABLE.copy(), SCHEMA, use_up=True)
    assert once["fare"].tolist() == [7.25, 8.0] and "fare" not in once.taken and "alone" in once.taken
    emptied = TABLE.copy()
    assert list(take_columns(emptied)) == list(TABLE) and emptied.shape == (2, 0)


@pytest.mark.parametrize("value", [math.inf, math.nan, 10**400, True, "1", [1], {}])
def test_values_of_the_wrong_type_are_problems(value):
    assert check_rows([{"fare": value, "alone": True}], SCHEMA)[0].column == "fare"


def test_what_is_not_a_table_is_a_problem():
    row = {"fare": 1.0, "alone": True}
    assert check_rows([{**row, "port": ["S"]}], SCHEMA) and not check_rows([{**row, "port": 3}], SCHEMA)
    assert check_rows("rows", SCHEMA)[0].row is None
    assert check_rows([3], SCHEMA)[0].expected.startswith("a JSON object")
    assert check_rows([{1: 2, **row}], SCHEMA)[0].column == "1"
