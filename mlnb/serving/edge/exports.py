"""The result of an export, whatever its form."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportResult:
    """What was written, and how it compares with the notebook on the golden rows.

    Args:
        rows: golden rows that were compared.
        largest_difference: of a probability, or of a value relative to its size.
        tolerance: largest difference that is accepted.
        bytes: size of all files.
    """

    rows: int
    largest_difference: float
    tolerance: float
    bytes: int
