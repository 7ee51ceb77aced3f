"""Data frames as the slices of rows that a service reads from an Arrow body, so that both get the same numbers."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.table_bodies import TableSlice, check_columns, read_slice
from mlnb.serving.runtime.table_worker import SLICE_CELLS, SLICE_ROWS, Refused, is_flat, pack


def slice_frame(frame: pd.DataFrame, schema: Schema, whole: bool) -> Iterator[TableSlice]:
    """Yield the rows of a data frame that a model reads, a slice at a time.

    Args:
        frame: rows (n, d).
        schema: of a request to the model.
        whole: whether all rows are one slice, for tasks whose rows are scored together.

    Raises:
        BadRows: columns are missing, unknown, there twice, or hold values that no column of a model has.
    """
    names = [str(name) for name in frame.columns]
    numbers = frozenset(column.name for column in schema.features if column.kind == "number")
    read = frozenset(schema.names)
    columns = {name: _to_arrow(frame.iloc[:, index]) for index, name in enumerate(names) if name in read}
    arrays = {name: array for name, array in columns.items() if array is not None}
    unread = {name: str(array.type)[:80] for name, array in arrays.items() if not is_flat(array.type)}
    check_columns(names, unread, schema)
    mixed = {name: frame.iloc[:, names.index(name)] for name, array in columns.items() if array is None}
    batch = pa.record_batch(arrays) if arrays else None
    size = len(frame) if whole else max(1, min(SLICE_ROWS, SLICE_CELLS // max(1, len(columns))))
    for start in range(0, len(frame), max(1, size)):
        rows = min(size, len(frame) - start)
        table = TableSlice(rows, {}, {}) if batch is None else _pack(batch.slice(start, rows), numbers)
        for name, values in mixed.items():
            table.coded[name] = _encode(values.iloc[start : start + rows])
        yield table


def expand_vectors(frame: pd.DataFrame, sizes: Mapping[str, int]) -> pd.DataFrame:
    """Return a data frame with the columns that a model has of its vector columns instead of their lists.

    Args:
        frame: rows (n, d).
        sizes: vector columns, and how many numbers each has.

    Raises:
        BadRows: a list has another length, or what is there is no list.
    """
    for name in [name for name in sizes if name in frame.columns]:
        missing = np.full(sizes[name], np.nan)
        lists = [missing if value is None or value is pd.NA else np.asarray(value) for value in frame[name]]
        for row, values in enumerate(lists):
            if values.shape != (sizes[name],) or values.dtype.kind not in "fiub":
                problem = RowProblem(
                    row=row, column=name, found=f"{type(frame[name].iloc[row]).__name__} of shape {values.shape}",
                    expected=f"a list of {sizes[name]} numbers",
                )  # fmt: skip
                raise BadRows([problem])
        numbers = np.array(lists, dtype=np.float64).reshape(len(frame), sizes[name])
        expanded = pd.DataFrame(numbers, frame.index, [f"{name}[{position}]" for position in range(sizes[name])])
        frame = pd.concat([frame.drop(columns=name), expanded], axis=1)
    return frame


def to_frame(data: object) -> pd.DataFrame | None:
    """Return a table of another library as a data frame, by the Arrow PyCapsule interface; None for other data.

    Args:
        data: a `pyarrow.Table`, a `polars.DataFrame`, or rows in another form; an index that pandas wrote is restored.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__arrow_c_array__"):
        return None
    try:
        table = pa.table(data)
    except (pa.ArrowInvalid, ValueError, TypeError):  # a column, for example
        return None
    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    fields = [field.with_type(views.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields, table.schema.metadata)).to_pandas(types_mapper=pd.ArrowDtype)


def _to_arrow(values: "pd.Series[Any]") -> pa.Array | None:
    """Return a column as an array; None for one with values of several types, which Arrow would turn into one type."""
    if values.dtype == object and len(set(map(type, values.dropna()))) > 1:
        return None
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):  # integers beyond 64 bits among them
        return None
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _pack(batch: pa.RecordBatch, numbers: frozenset[str]) -> TableSlice:
    """Return rows as the service has them. Raises `BadRows` for instants that Python has no values for."""
    try:
        return read_slice(pack(batch, numbers))
    except Refused as refused:
        reply = {key: str(value) for key, value in refused.reply.items()}
        problem = RowProblem(row=None, column=reply["column"], found=reply["found"], expected=reply["expected"])
        raise BadRows([problem]) from None


def _encode(values: "pd.Series[Any]") -> tuple[list[Any], np.ndarray]:
    """Return the different values of a column as JSON has them, None last, and the index of each row's value (n,)."""
    numbers: dict[tuple[type, Any], int] = {}
    typed = [(type(value), value) for value in map(to_json_value, values)]
    codes = [-1 if value is None else numbers.setdefault((kind, value), len(numbers)) for kind, value in typed]
    different = [value for _, value in numbers]
    return [*different, None], np.array([code if code >= 0 else len(different) for code in codes], dtype=np.int32)


def to_json_value(value: Any) -> Any:
    """Return a value as JSON has it: numpy's numbers as Python's, instants as ISO 8601, None for missing values."""
    if isinstance(value, list | np.ndarray):
        return [to_json_value(one) for one in value]
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, date):
        return value.isoformat()
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and value != value else value
