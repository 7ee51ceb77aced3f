"""Parity check: whether two sets of predictions are identical, bit by bit, and where they first differ."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mlnb.codec import Json


@dataclass(frozen=True)
class Difference:
    """The first difference between two sets of predictions.

    Attributes:
        row: number of the row, from 0.
        field: such as "probabilities.yes"; empty for the row as a whole.
        found: what the service returned.
        expected: what the notebook predicted.
    """

    row: int
    field: str
    found: Json
    expected: Json

    def __str__(self) -> str:
        """Return one line for a message."""
        where = f"row {self.row}" + (f", {self.field}" if self.field else "")
        return f"{where}: found {self.found!r}, expected {self.expected!r}"


def find_difference(found: Sequence[Json], expected: Sequence[Json]) -> Difference | None:
    """Return the first difference, or None when all predictions are identical; numbers are compared by their bits.

    Args:
        found: the service's predictions, as JSON values (n,).
        expected: the notebook's predictions, as JSON values (n,).
    """
    for row, (one, other) in enumerate(zip(found, expected, strict=False)):
        difference = _compare_values(one, other, "")
        if difference is not None:
            return Difference(row, *difference)
    if len(found) != len(expected):
        shorter = min(len(found), len(expected))
        return Difference(shorter, "", f"{len(found)} predictions", f"{len(expected)} predictions")
    return None


def _compare_values(found: Json, expected: Json, field: str) -> tuple[str, Json, Json] | None:
    """Return field, found and expected of the first difference inside one JSON value."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in [*expected, *(name for name in found if name not in expected)]:
            inner = f"{field}.{name}" if field else str(name)
            if name not in found or name not in expected:
                return inner, found.get(name, "nothing"), expected.get(name, "nothing")
            difference = _compare_values(found[name], expected[name], inner)
            if difference is not None:
                return difference
        return None
    if isinstance(expected, list) and isinstance(found, list):
        first = find_difference(found, expected)
        if first is None:
            return None
        return f"{field}[{first.row}]{'.' if first.field else ''}{first.field}", first.found, first.expected
    return None if _is_same(found, expected) else (field, found, expected)


def _is_same(found: Json, expected: Json) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        return struct.pack("<d", found) == struct.pack("<d", expected)
    return type(found) is type(expected) and found == expected
