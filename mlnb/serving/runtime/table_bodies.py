"""Large batches as Arrow streams or Parquet files: columns in, columns out, the same numbers as JSON gives.

pyarrow is not a requirement of a service: images that need such bodies install it.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Column, Schema, nearest, to_array
from mlnb.methods.tables.values import EXPECTED, fits
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows, too_large

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
MAX_TABLE_ROWS = 1_000_000  # rows of one body
MAX_TABLE_BYTES = 2**30  # bytes of one body once it is unpacked


def read_table(body: bytes, kind: str, limit: int = MAX_TABLE_ROWS) -> Any:
    """Return the pyarrow table in a body of media type `kind`.

    Raises:
        BadRequest: with status 415 without pyarrow, 400 when it cannot be read, 413 when it is too large.
    """
    pyarrow = _pyarrow(kind)
    batches, rows, size = [], 0, 0
    try:
        for batch in _batches(body, kind):
            batches.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows > limit:
                raise too_large(f"more than {limit:,} rows", f"at most {limit:,} rows in one request")
            if size > MAX_TABLE_BYTES:
                raise too_large(f"more than {MAX_TABLE_BYTES:,} bytes unpacked", f"at most {MAX_TABLE_BYTES:,} bytes")
        return pyarrow.Table.from_batches(batches) if batches else pyarrow.table({})
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        if isinstance(error, BadRequest):
            raise
        reason = f"no {'Arrow stream' if kind == ARROW else 'Parquet file'} ({str(error)[:200]})"
        expected = f"a body of type {kind}"
        problem = _problem(None, None, reason, expected)
        raise BadRequest(f"the body: found {reason}, expected {expected}", [problem]) from None


def read_columns(table: Any, schema: Schema) -> dict[str, np.ndarray]:
    """Return a table's features as arrays. Raises `BadRows` for columns or values that do not fit the schema."""
    problems: list[RowProblem] = []
    names = [column.name for column in schema.features]
    for name in table.column_names:
        if name not in schema.names:
            hint = nearest(name, names)
            problems.append(_problem(None, name, "an unknown column", f"a column of the schema{hint}"))
        elif table.column_names.count(name) > 1:
            problems.append(_problem(None, name, "a column of that name twice", "one"))
    present = set(table.column_names)
    for column in schema.features:
        if column.name not in present and not column.nullable:
            problems.append(_problem(None, column.name, "nothing", EXPECTED[column.kind]))
    if problems:
        raise BadRows(problems)
    arrays = {}
    for column in schema.features:
        if column.name not in present:
            arrays[column.name] = to_array([None] * table.num_rows, column)
            continue
        array, bad = _read_column(table.column(column.name), column)
        arrays[column.name] = array
        problems += bad
    if problems:
        raise BadRows(sorted(problems, key=lambda problem: problem.row or 0))
    return arrays


def to_rows(table: Any) -> list[JsonObject]:
    """Return a table as rows as JSON would hold them: instants as ISO 8601 text."""
    rows = table.to_pylist()
    for name in table.column_names:
        if table.num_rows and str(table.schema.field(name).type).startswith(("timestamp", "date")):
            for row in rows:
                row[name] = row[name].isoformat() if row[name] is not None else None
    return [*rows]


def write_table(values: Sequence[JsonObject], kind: str) -> bytes:
    """Return responses as a body of media type `kind`: one column a field, probabilities and intervals as structs."""
    import pyarrow
    import pyarrow.parquet

    table, out = pyarrow.Table.from_pylist(values), io.BytesIO()
    if kind == PARQUET:
        pyarrow.parquet.write_table(table, out)
    else:
        with pyarrow.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


def _pyarrow(kind: str) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        reason = f"a body of type {kind}, which this service cannot read"
        expected = "JSON, or pyarrow in the service's environment: pip install pyarrow"
        problem = _problem(None, None, reason, expected)
        raise BadRequest(f"found {reason}; expected {expected}", [problem], 415) from None
    return pyarrow


def _batches(body: bytes, kind: str) -> Iterator[Any]:
    import pyarrow.parquet

    if kind == PARQUET:
        yield from pyarrow.parquet.ParquetFile(pyarrow.BufferReader(body)).iter_batches()
        return
    with pyarrow.ipc.open_stream(body) as reader:
        yield from reader


def _read_column(values: Any, column: Column) -> tuple[np.ndarray, list[RowProblem]]:
    """Return the array of a column as the encoder reads it, and its first value that does not fit."""
    from pyarrow import timestamp, types

    kind = values.type
    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind)
    if column.kind == "number" and numeric:
        array = values.cast("float64").to_numpy().astype(np.float64)
        infinite = np.flatnonzero(np.isinf(array))
        if not len(infinite):
            return array, []
        row = int(infinite[0])
        return array, [_problem(row, column.name, repr(float(array[row])), EXPECTED["number"])]
    if types.is_timestamp(kind):
        values = values.cast(timestamp("us", kind.tz), safe=False)
    try:
        encoded = values.unify_dictionaries() if types.is_dictionary(kind) else values.dictionary_encode()
        encoded = encoded.combine_chunks()
        distinct = encoded.dictionary.to_pylist()
    except (NotImplementedError, TypeError):
        return np.empty(0), [_problem(0, column.name, f"values of type {kind}", EXPECTED[column.kind])]
    codes = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    for code, value in enumerate(distinct):
        if not fits(value, column.kind):
            row = int(np.argmax(codes == code))
            return np.empty(0), [_problem(row, column.name, repr(value)[:80], EXPECTED[column.kind])]
    return to_array([*distinct, None], column)[codes], []


def _problem(row: int | None, column: str | None, found: str, expected: str) -> RowProblem:
    return RowProblem(row=row, column=column, found=found, expected=expected)
