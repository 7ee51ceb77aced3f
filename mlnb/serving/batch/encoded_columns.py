"""A column of the encoder's output, kept small: each distinct value is encoded once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EncodedColumn:
    """The encoded numbers of one column of a table with n rows.

    Args:
        numbers: of the u distinct values (u, k), or of the rows themselves (n, k); float64.
        codes: the distinct value of each row (n,) int32; None where `numbers` are of the rows.
    """

    numbers: np.ndarray
    codes: np.ndarray | None

    @property
    def width(self) -> int:
        """Return how many columns of the matrix it becomes."""
        return int(self.numbers.shape[1])

    def head(self, rows: int) -> "EncodedColumn":
        """Return the first rows."""
        if self.codes is None:
            return EncodedColumn(self.numbers[:rows], None)
        return EncodedColumn(self.numbers, self.codes[:rows])

    def expand(self) -> np.ndarray:
        """Return the numbers of all rows (n, k)."""
        return self.numbers if self.codes is None else self.numbers.take(self.codes, axis=0)


EncodedTable = Sequence[EncodedColumn]  # one for each column of the table, in the encoder's order
