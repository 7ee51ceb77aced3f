"""Arrow, Feather, ORC and Parquet files as plain columns."""

import io
from datetime import date, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from mlnb.methods.tables.arrow_tables import expand_vector, is_usable, is_vector, plain_column, read_arrow

TABLE = pa.table({"a": [1, 2], "b": ["x", None]})


def stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def written(write) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (written(pq.write_table), "parquet"),
        (written(pyarrow.feather.write_feather), "arrow"),
        (stream(TABLE), "arrow"),
    ],
    ids=["parquet", "feather", "stream"],
)
def test_each_kind_of_file_is_read_and_a_damaged_one_refused(data, kind):
    assert read_arrow(data, kind).equals(TABLE)
    with pytest.raises(ValueError, match=f"cannot be read as {kind}"):
        read_arrow(data[: len(data) // 3], kind)


def test_nested_values_and_bytes_are_no_features():
    assert is_usable(pa.float64()) and is_usable(pa.dictionary(pa.int8(), pa.string()))
    assert not any(map(is_usable, (pa.binary(), pa.struct([("a", pa.int8())]), pa.list_(pa.string()))))


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([Decimal("1.50"), None], pa.decimal128(5, 2), [1.5, None]),
        ([time(0, 0, 2), None], pa.time32("ms"), [2.0, None]),
        ([timedelta(minutes=1)], pa.duration("us"), [60.0]),
        ([2**62 + 1, None], pa.int64(), [str(2**62 + 1), None]),  # floats cannot hold it exactly
        ([5, None], pa.int64(), [5, None]),
        ([None, None], pa.null(), [None, None]),
    ],
)
def test_types_keep_their_meaning(values, kind, expected):
    assert plain_column(pa.chunked_array([pa.array(values, kind)])).to_pylist() == expected


def test_dates_become_timestamps():
    (moment,) = plain_column(pa.chunked_array([pa.array([date(2024, 2, 29)])])).to_pylist()
    assert (moment.year, moment.month, moment.day, moment.hour) == (2024, 2, 29, 0)


def test_lists_of_numbers_become_one_column_per_position():
    vectors = pa.chunked_array([pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float32()))])
    assert is_vector(vectors) and not is_vector(pa.chunked_array([pa.array([["a"]])]))
    assert [column.to_pylist() for column in expand_vector(vectors, 2)] == [[1.0, None, 3.0], [2.0, None, 4.0]]
