"""Request validation: the problems of the rows, as many as a response lists, found in bounded time."""

from collections.abc import Iterator, Sequence
from typing import Any

from mlnb.codec import JsonObject, replace
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema, check_rows, rows_fit
from mlnb.serving.runtime.request_bodies import SHOWN

BLOCK = 4_096  # rows checked at a time, column by column
CHUNK = 64  # rows of a block with a problem that are checked one by one, at a time
LONGEST_NAME = 100  # characters of an unknown column's name in a problem


def find_row_problems(rows: Sequence[JsonObject], schema: Schema, limit: int = SHOWN) -> list[RowProblem]:
    """Return the first `limit` problems of the rows; a problem quotes numbers, texts and booleans only."""
    names = frozenset(schema.names)
    problems: list[RowProblem] = []
    for start in _chunks_to_check(rows, schema):
        unknown = limit
        chunk = []
        for row in rows[start : start + CHUNK]:
            fitting, unknown = _reduce(row, names, unknown)
            chunk.append(fitting)
        for problem in check_rows(chunk, schema):
            number = None if problem.row is None else problem.row + start
            problems.append(replace(problem, row=number, found=_found(problem, chunk)))
            if len(problems) == limit:
                return problems
    return problems


def _chunks_to_check(rows: Sequence[JsonObject], schema: Schema) -> Iterator[int]:
    """Yield the first row of each chunk whose rows have to be checked one by one."""
    for begin in range(0, len(rows), BLOCK):
        if not rows_fit(rows[begin : begin + BLOCK], schema):
            yield from range(begin, min(begin + BLOCK, len(rows)), CHUNK)


def shift_rows(problems: Sequence[RowProblem], first: int) -> list[RowProblem]:
    """Return the problems of a slice of rows with row numbers of the request."""
    return [each if each.row is None else replace(each, row=each.row + first) for each in problems]


def _reduce(row: JsonObject, names: frozenset[str], unknown: int) -> tuple[JsonObject, int]:
    """Return a row with at most `unknown` columns that the schema lacks, and how many more there may be."""
    if row.keys() <= names:
        return row, unknown
    reduced: dict[str, Any] = {}
    for name, value in row.items():
        if name in names:
            reduced[name] = value
        elif unknown:
            reduced[name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."] = None
            unknown -= 1
    return reduced, unknown


def _found(problem: RowProblem, chunk: Sequence[JsonObject]) -> str:
    if problem.row is None or problem.column is None:
        return problem.found
    value = chunk[problem.row].get(problem.column)
    return describe_value(value) if isinstance(value, dict | list) else problem.found


def describe_value(value: Any) -> str:
    """Return a value of a request for a problem: numbers, texts and booleans are quoted, within 80 characters."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
