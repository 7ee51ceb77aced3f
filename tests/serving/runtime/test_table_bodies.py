"""Columns of a table that another process has decoded."""

import numpy as np
import pyarrow as pa
import pytest
from decoded_tables import decoding

from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows
from mlnb.serving.runtime.table_bodies import check_columns, read_columns, to_rows
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

SCHEMA = Schema(
    (
        Column("age", "number", sentinels=(-999.0,)),
        Column("day", "date"),
        Column("sex", "category", nullable=False),
        Column("ok", "boolean"),
        Column("count", "category"),
    )
)
TABLE = pa.table(
    {
        "day": pa.array([1588291200000, None, 0], pa.timestamp("ms", "UTC")),
        "age": [1.5, None, -999.0],
        "sex": pa.array(["f", None, "f"]).dictionary_encode(),
        "ok": [True, None, False],
        "count": [1, 2, None],
    }
)


@pytest.fixture(scope="module")
def read():
    with decoding() as function:
        yield function


@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_rows_of_a_table_hold_what_json_holds(read, kind):
    (table,) = read(TABLE, SCHEMA, kind)
    assert to_rows(table) == [
        {"age": 1.5, "day": "2020-05-01T00:00:00+00:00", "sex": "f", "ok": True, "count": 1},
        {"age": None, "day": None, "sex": None, "ok": None, "count": 2},
        {"age": -999.0, "day": "1970-01-01T00:00:00+00:00", "sex": "f", "ok": False, "count": None},
    ]
    columns = read_columns(table, SCHEMA)
    assert columns["age"].tolist()[0] == 1.5 and np.isnan(columns["age"][1:]).all()  # one is a sentinel
    assert columns["count"].tolist() == ["1", "2", None]
    assert read(TABLE.slice(0, 0), SCHEMA, kind) == []


def test_a_large_table_comes_in_slices(read):
    count = 10_000
    table = pa.table({"sex": pa.array(["f"] * count), "age": np.arange(count, dtype=float)})
    slices = read(table, SCHEMA)
    assert len(slices) > 2 and sum(each.rows for each in slices) == count
    assert np.concatenate([each.numbers["age"] for each in slices]).tolist() == list(range(count))


@pytest.mark.parametrize(
    ("names", "unread", "column", "description"),
    [
        (["sex", "colour"], {}, "colour", "an unknown column"),
        (["sex", "x" * 5000], {}, "x" * 100 + "...", "an unknown column"),
        (["sex", "age", "age"], {}, "age", "a column of that name twice"),
        (["age"], {}, "sex", "nothing"),
        (["sex"], {"sex": "list<item: string>"}, "sex", "values of type list<item: string>"),
    ],
)
def test_columns_are_checked_before_rows_are_read(names, unread, column, description):
    with pytest.raises(BadRows) as caught:
        check_columns(names, unread, SCHEMA)
    assert (caught.value.column, caught.value.found) == (column, description)


def test_as_many_problems_are_collected_as_are_reported():
    with pytest.raises(BadRows) as caught:
        check_columns([f"column {number}" for number in range(5000)], {}, SCHEMA)
    assert len(caught.value.problems) == SHOWN


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("s"), pa.timestamp("us", "Mars/Phobos")])
def test_instants_that_python_has_no_values_for_are_refused(read, kind):
    table = pa.table({"sex": ["f"], "day": pa.array([2**62], kind)})
    with pytest.raises(BadRows, match="day"):
        read(table, SCHEMA)
