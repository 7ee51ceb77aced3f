"""Whether two sets of predictions are the same, bit by bit, and where they first differ."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """The first place where predictions part.

    Attributes:
        row: number of the row, from 0.
        field: such as "probabilities.yes"; empty for the row as a whole.
        found: what the service answered.
        expected: what the notebook predicted.
    """

    row: int
    field: str
    found: Any
    expected: Any

    def __str__(self) -> str:
        """One line for a message."""
        place = f"row {self.row}" + (f", {self.field}" if self.field else "")
        return f"{place}: found {self.found!r}, expected {self.expected!r}"


def compare(found: Sequence[Any], expected: Sequence[Any]) -> Difference | None:
    """Return the first difference, or None when all are identical: numbers by their bits, not by nearness.

    Args:
        found: n JSON values: the service's answers.
        expected: n JSON values: the notebook's predictions.
    """
    for row, (one, other) in enumerate(zip(found, expected, strict=False)):
        difference = _compare_values(one, other, "")
        if difference is not None:
            return Difference(row, *difference)
    if len(found) != len(expected):
        return Difference(
            min(len(found), len(expected)), "", f"{len(found)} predictions", f"{len(expected)} predictions"
        )
    return None


def _compare_values(found: Any, expected: Any, field: str) -> tuple[str, Any, Any] | None:
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
        inner_difference = compare(found, expected)
        if inner_difference is None:
            return None
        place = f"{field}[{inner_difference.row}]{'.' if inner_difference.field else ''}{inner_difference.field}"
        return place, inner_difference.found, inner_difference.expected
    return None if _same(found, expected) else (field, found, expected)


def _same(found: Any, expected: Any) -> bool:
    if type(found) is not type(expected):
        return False
    if isinstance(found, float):
        return struct.pack("<d", found) == struct.pack("<d", expected)
    return bool(found == expected)
