"""Verification of a compiled model: its predictions for rows of the job against the original's, bit by bit."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Verification:
    """What a comparison found.

    Args:
        rows: rows that were compared.
        different: how many of them have at least one different bit.
        first: the first of these, counted from 0; None: none.
        largest: largest absolute difference of two numbers; NaN where only one of them is missing.
    """

    rows: int
    different: int
    first: int | None
    largest: float

    @property
    def equal(self) -> bool:
        """Return whether all bits are equal."""
        return self.different == 0

    def __str__(self) -> str:
        if self.equal:
            return f"all bits are equal in {self.rows} rows"
        return (
            f"found other bits in {self.different} of {self.rows} rows, expected none "
            f"(first: row {self.first}, largest difference {self.largest:.1e})"
        )


def verify(compiled: np.ndarray, original: np.ndarray) -> Verification:
    """Return how a compiled model's predictions compare with the original's.

    Args:
        compiled: predictions for the first rows of the job (n,) or (n, k), float64.
        original: predictions of the original for the same rows, in the same shape.

    Returns:
        A difference in one bit of one row counts, that of the sign of a zero too; a wrong shape differs everywhere.
    """
    rows = len(original)
    if compiled.shape != original.shape:
        return Verification(rows, rows, 0, float("nan"))
    bits = [np.ascontiguousarray(values, np.float64).view(np.uint64) for values in (compiled, original)]
    different = np.flatnonzero((bits[0] != bits[1]).reshape(rows, -1).any(axis=1))
    if not len(different):
        return Verification(rows, 0, None, 0.0)
    largest = float(np.abs(compiled[different] - original[different]).max())
    return Verification(rows, len(different), int(different[0]), largest)
