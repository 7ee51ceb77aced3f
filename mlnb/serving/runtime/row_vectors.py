"""Vector columns in requests: a list under the column's name becomes the columns that the model has of it."""

import re
from collections.abc import Mapping

from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.request_bodies import SHOWN, BadRows

ELEMENT = re.compile(r"(.+)\[(\d+)\]", re.DOTALL)  # name of the column of one position


def vector_sizes(schema: Schema) -> dict[str, int]:
    """Return the vector columns of a model by name, and how many numbers each has; no column has such a name."""
    sizes = dict[str, int]()
    for column in schema.features:
        match = ELEMENT.fullmatch(column.name) if column.kind == "number" else None
        if match is not None and match[1] not in schema.names:
            sizes[match[1]] = max(sizes.get(match[1], 0), int(match[2]) + 1)
    return sizes


def split_rows(rows: list[Row], sizes: Mapping[str, int], names: frozenset[str]) -> list[Row]:
    """Return rows with numbers instead of lists; the rows themselves where there is no list.

    Args:
        rows: of a request.
        sizes: from `vector_sizes`.
        names: of the model's columns: positions that it does not have are left out.

    Raises:
        BadRows: a list has another length, or what is there is no list.
    """
    if not any(name in row for row in rows for name in sizes):
        return rows
    problems: list[RowProblem] = []
    split: list[Row] = []
    for number, row in enumerate(rows):
        plain = dict(row)
        for name, size in sizes.items():
            value = plain.pop(name, None)
            if value is None:
                continue
            if not isinstance(value, list) or len(value) != size:
                result = f"a list of {len(value)}" if isinstance(value, list) else "no list"
                expected = f"a list of {size} numbers"
                problems.append(RowProblem(row=number, column=name, found=result, expected=expected))
                continue
            each = {f"{name}[{position}]": one for position, one in enumerate(value)}
            plain |= {column: one for column, one in each.items() if column in names}
        split.append(plain)
        if len(problems) >= SHOWN:
            break
    if problems:
        raise BadRows(problems)
    return split
