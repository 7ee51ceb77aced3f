"""Large batches as Arrow streams or Parquet files: columns in, the same numbers as JSON gives.

pyarrow is not a requirement of a service: images that need such bodies install it, and `table_worker` alone uses it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema, nearest, to_array
from mlnb.methods.tables.values import EXPECTED, fits
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows
from mlnb.serving.runtime.row_checks import LONGEST_NAME


def check_columns(names: Sequence[str], unread: Mapping[str, str], schema: Schema) -> None:
    """Check the columns of a table before its rows are read.

    Args:
        names: of the columns.
        unread: type of each column that holds lists, structures or other values that no column of a model has.
        schema: of the request.

    Raises:
        BadRows: columns are missing, unknown, there twice, or of a type that does not fit.
    """
    problems: list[RowProblem] = []
    features = [column.name for column in schema.features]
    existing, counts = frozenset(schema.names), Counter(names)
    for name in names:
        if name not in existing:
            hint = nearest(name[:LONGEST_NAME], features)
            shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."
            problems.append(_problem(None, shown, "an unknown column", f"a column of the schema{hint}"))
        elif counts[name] > 1:
            problems.append(_problem(None, name, "a column of that name twice", "one"))
        if len(problems) == SHOWN:
            raise BadRows(problems)
    for column in schema.features:
        expected = EXPECTED[column.kind]
        if column.name not in counts and not column.nullable:
            problems.append(_problem(None, column.name, "nothing", expected))
        elif column.name in unread:
            problems.append(_problem(0, column.name, f"values of type {unread[column.name]}", expected))
    if problems:
        raise BadRows(problems[:SHOWN])


class TableSlice(msgspec.Struct, frozen=True):
    """Some rows of a table.

    Args:
        rows: their number n.
        numbers: float64 (n,) by name of the column.
        coded: of any other column the different values, and the position of each row's value (n,); None is the last.
    """

    rows: int
    numbers: dict[str, np.ndarray]
    coded: dict[str, tuple[list[Any], np.ndarray]]


def read_slice(frame: bytes) -> TableSlice:
    """Return the rows that `table_worker.pack` wrote."""
    start = frame.index(b"\n") + 1
    described = json.loads(frame[:start])
    result = TableSlice(described["rows"], {}, {})
    for column in described["columns"]:
        kind = np.dtype(np.int32 if "values" in column else np.float64)
        array = np.frombuffer(frame, kind, result.rows, start)
        start += array.nbytes
        if "values" in column:
            result.coded[column["name"]] = [*column["values"], None], array
        else:
            result.numbers[column["name"]] = array
    return result


def read_columns(table: TableSlice, schema: Schema) -> dict[str, np.ndarray]:
    """Return a table's features as arrays. Raises `BadRows` for values that do not fit the schema."""
    problems: list[RowProblem] = []
    arrays = {}
    for column in schema.features:
        if column.name in table.numbers:
            numbers = table.numbers[column.name]
            arrays[column.name] = to_array(numbers, column)
            infinite = np.flatnonzero(np.isinf(numbers))
            if len(infinite):
                row = int(infinite[0])
                found = repr(float(numbers[row]))
                problems.append(_problem(row, column.name, found, EXPECTED["number"]))
        elif column.name in table.coded:
            values, codes = table.coded[column.name]
            bad = next((code for code, value in enumerate(values) if not fits(value, column.kind)), None)
            if bad is None:
                arrays[column.name] = to_array(values, column)[codes]
            else:
                row, found = int(np.argmax(codes == bad)), repr(values[bad])[:80]
                problems.append(_problem(row, column.name, found, EXPECTED[column.kind]))
        else:
            arrays[column.name] = to_array([None] * table.rows, column)
    if problems:
        raise BadRows(sorted(problems, key=lambda problem: problem.row or 0)[:SHOWN])
    return arrays


def table_values(table: TableSlice, name: str) -> list[Any]:
    """Return the values of a column as JSON holds them; None for NaN, and everywhere without such a column."""
    if name in table.numbers:
        return [None if number != number else number for number in table.numbers[name].tolist()]
    if name not in table.coded:
        return [None] * table.rows
    values, codes = table.coded[name]
    return [values[code] for code in codes.tolist()]


def to_rows(table: TableSlice) -> list[JsonObject]:
    """Return a table as rows as JSON holds them: instants as ISO 8601 text, None for NaN."""
    columns = {name: table_values(table, name) for name in (*table.numbers, *table.coded)}
    if not columns:
        return [{}] * table.rows
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _problem(row: int | None, column: str | None, found: str, expected: str) -> RowProblem:
    return RowProblem(row=row, column=column, found=found, expected=expected)
