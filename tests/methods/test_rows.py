"""The compiled row gives the bits of the batch for whatever the check lets through, and None for all else."""

import subprocess
import sys
import timeit
from datetime import UTC, date, datetime
from fractions import Fraction
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.contracts.table_formats import ColumnFormat, DateFormat
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Column, Schema, check_rows, to_arrays

LOCAL = ColumnFormat(date=DateFormat(zone="local"))
moments = st.datetimes() | st.datetimes(datetime(1600, 1, 1), datetime(2300, 1, 1))
VALUES = {
    "number": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.text(max_size=2) | st.integers(0, 3) | st.booleans(),
    "text": st.none() | st.text(max_size=30) | st.sampled_from(["ford LTD", "Ford  Pinto", "größe ¼", " "]),
    "date": st.none() | moments.map(datetime.isoformat) | st.dates().map(date.isoformat),
}
odd = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from([10**400, -(10**20), -0.0, "yes", " NO ", "2024-02-29", "2024-02", b"x"])
    | st.sampled_from([-999, 9999.0, "NA", " ? "])
    | st.sampled_from(["9999-12-31T23:59:59.999999", "2261-12-31T23:59:59.999999", "1678-01-01T00:00:00.000001"])
    | st.sampled_from([date(1500, 1, 1), np.float64(1.5), np.int64(3), np.datetime64("NaT", "s"), [], {}, "x" * 4000])
    | moments | moments.map(lambda m: m.replace(tzinfo=UTC)) | moments.map(lambda m: m.isoformat() + "+05:30")
)  # fmt: skip


@st.composite
def tables(draw):
    """A schema, rows to learn from, and rows to encode: of the column's kind, of any kind, or left out."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=5))
    coded = {"number": {"sentinels": (-999.0, 9999.0)}, "date": {"format": draw(st.sampled_from([None, LOCAL]))}}
    columns = [Column(f"{k} {j}", k, nullable=draw(st.booleans()), **coded.get(k, {})) for j, k in enumerate(kinds)]
    schema = Schema((*columns, Column("y", "number", "target")))
    learned = draw(st.lists(st.fixed_dictionaries({c.name: VALUES[c.kind] for c in columns}), min_size=1, max_size=8))
    each = {c.name: VALUES[c.kind] | odd | st.sampled_from([row[c.name] for row in learned]) for c in columns}
    some = st.fixed_dictionaries({}, optional={**each, "y": odd})
    options = {"one_hot": draw(st.sampled_from([0, 2, 16])), "unseen": draw(st.sampled_from(["other", "missing"]))}
    options |= {"components": draw(st.sampled_from([0, 1, 2])), "classes": draw(st.sampled_from([0, 2, 3]))}
    return schema, learned, draw(st.lists(st.fixed_dictionaries(each) | some, min_size=1, max_size=4)), options


@settings(max_examples=250)
@given(tables())
def test_a_row_has_the_bits_of_the_batch_or_is_none(table):
    schema, learned, rows, options = table
    encoder = Encoder.fit(to_arrays(learned, schema), schema, np.arange(len(learned)) % 3, **options)
    encode = compile_row(schema, Encoder.from_json(encoder.to_json()))
    for row in rows:
        encoded, again = encode(row), encode(MappingProxyType(row))  # a day may be known by then
        assert (encoded is None) == bool(check_rows([row], schema))
        if encoded is not None:
            batch = encoder.transform(to_arrays([row, *learned], schema))
            assert encoded.dtype == np.float64 and encoded.tobytes() == again.tobytes() == batch[0].tobytes()


@pytest.mark.parametrize("row", [3, None, [], "x", {1: 2, "a": 1.0}, {"a": 1.0, "b": 2}, {}])
def test_anything_but_a_row_is_none(row):
    schema = Schema((Column("a", "number", nullable=False),))
    encode = compile_row(schema, Encoder.fit({"a": np.array([1.0])}, schema))
    assert encode(row) is None and check_rows([row], schema)


@pytest.mark.parametrize("value", [np.int64(-999), np.float32(-999), np.array([-999.0, 1.0]), Fraction(-999), 10**400])
def test_a_sentinel_of_another_type_is_no_number(value):
    schema = Schema((Column("a", "number", sentinels=(-999.0,)),))
    encode = compile_row(schema, Encoder.fit({"a": np.array([1.0])}, schema))
    assert encode({"a": value}) is None and check_rows([{"a": value}], schema)
    assert np.isnan(encode({"a": np.float64(-999)})[0]) and encode({"a": True}) is None


def test_a_local_day_is_that_of_the_text():
    schema = Schema((Column("a", "date", format=LOCAL),))
    days = [{"a": f"2024-0{month}-01T00:00:00+02:00"} for month in range(1, 8)]
    encoder = Encoder.fit(to_arrays(days, schema), schema)
    row = dict(zip(encoder.names, compile_row(schema, encoder)(days[0]).tolist(), strict=True))
    assert (row["a: month"], row["a: yearday"], row["a: elapsed days"]) == (1.0, 1.0, 0.0)


def test_two_rows_share_no_memory():
    schema = Schema((Column("a", "number"),))
    encode = compile_row(schema, Encoder.fit({"a": np.array([1.0])}, schema))
    first, second = encode({"a": 1.0}), encode({"a": 2.0})
    assert (first[0], second[0]) == (1.0, 2.0)


def test_the_row_path_needs_numpy_alone():
    heavy = '{"pandas", "sklearn", "scipy", "lightgbm", "pyarrow", "mlnb.engine"}'
    code = f"import sys, mlnb.methods.encoding.row_encoder; sys.exit(str({heavy} & set(sys.modules) or ''))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).stderr in (b"", b"\n")


def test_one_row_is_many_times_faster_than_a_batch_of_one():
    kinds = ["number"] * 10 + ["category"] * 6 + ["boolean"] * 2 + ["date"] * 2
    schema = Schema(tuple(Column(f"c{i}", kind) for i, kind in enumerate(kinds)))
    example = {"number": 1.5, "category": "b", "boolean": True, "date": "2024-02-29T12:30:00"}
    other = {"number": 2.5, "category": "a", "boolean": False, "date": "2023-01-28T11:35:00"}
    rows = [{c.name: values[c.kind] for c in schema.columns} for values in (example, other)]
    encoder = Encoder.fit(to_arrays(rows, schema), schema)
    encode = compile_row(schema, encoder)
    compiled = min(timeit.repeat(lambda: encode(rows[0]), number=100, repeat=9))
    batch = min(timeit.repeat(lambda: encoder.transform(to_arrays(rows[:1], schema)), number=100, repeat=9))
    assert compiled < batch / 4
