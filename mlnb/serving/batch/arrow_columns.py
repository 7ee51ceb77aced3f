"""A column of Arrow as the encoder reads it: numbers as they are, all else once a different value."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlnb.methods.tables.columns import Column, to_array
from mlnb.methods.tables.values import MISSING_WORDS, REFUSALS, fits

LONGEST = max(map(len, MISSING_WORDS))
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True)
class Values:
    """The values of one column: n of them, or u different ones with n codes."""

    values: np.ndarray  # as `to_array` gives them: (n,), or (u,) with codes
    codes: np.ndarray | None  # (n,) places in `values`; None: one value a row
    bad: np.ndarray | None  # (n,) rows whose value does not fit; None: none

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.values if self.codes is None else self.codes)


def read_column(
    found: pa.Array | None,  # of n values; None: the file has no such column
    column: Column,
    rows: int,  # n
    text: bool,  # whether every value is text because the file is CSV
) -> Values:
    """Return a column's values; rows that the service would refuse are marked bad and hold missing values."""
    if found is None:
        return Values(to_array([None], column), np.zeros(rows, dtype=np.int64), None)
    if text:
        found = _blank_missing(found)
        if column.kind == "number":
            return _numbers_of_text(found, column)
    kind = found.type
    if column.kind == "number" and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return _numbers(found, column)
    if column.kind == "date" and pa.types.is_timestamp(kind):
        encoded = pc.dictionary_encode(found)
        if len(encoded.dictionary) * 4 > len(found):
            return Values(to_array(_naive(found), column), None, None)
        codes = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        return Values(np.append(to_array(_naive(encoded.dictionary), column), np.nan), codes, None)
    return _different(found, column)


def to_list(found: pa.Array | pa.Table) -> list[Any]:
    """Return plain values, or rows."""
    try:
        values: list[Any] = found.to_pylist()
    except ValueError:  # nanoseconds, for which pyarrow needs pandas, which it has looked for in vain: see import_alone
        found.slice(0, 0).to_pandas()
        values = found.to_pylist()
    return values


def _naive(found: pa.Array) -> np.ndarray:
    """Return instants as numpy has them, in UTC."""
    instants: np.ndarray = found.cast(pa.timestamp(found.type.unit)).to_numpy(zero_copy_only=False)
    return instants


def _blank_missing(found: pa.Array) -> pa.Array:
    """Return cells of CSV without blanks around them, and null where they say that nothing is known."""
    trimmed = pc.utf8_trim_whitespace(found)
    short = pc.less_equal(pc.utf8_length(trimmed), LONGEST)
    if not pc.any(short).as_py():
        return trimmed
    gone = pc.is_in(pc.utf8_lower(trimmed), pa.array(sorted(MISSING_WORDS)))
    return pc.if_else(gone, pa.scalar(None, trimmed.type), trimmed)


def _numbers_of_text(found: pa.Array, column: Column) -> Values:
    """Return the numbers that cells spell; bad where they spell none."""
    try:
        return _numbers(found.cast(pa.float64()), column)
    except pa.ArrowInvalid:
        spelled = pc.fill_null(pc.match_substring_regex(found, NUMBER), True)
        numbers = _numbers(pc.if_else(spelled, found, pa.scalar(None, found.type)).cast(pa.float64()), column)
        bad = ~spelled.to_numpy(zero_copy_only=False)
        return Values(numbers.values, None, bad if numbers.bad is None else bad | numbers.bad)


def _numbers(found: pa.Array, column: Column) -> Values:
    """Return numbers as float64, NaN where missing or where they stand for that; bad where infinite."""
    numbers = found.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    infinite = np.isinf(numbers)
    if not infinite.any():
        return Values(to_array(numbers, column), None, None)
    return Values(to_array(np.where(infinite, np.nan, numbers), column), None, infinite)


def _different(found: pa.Array, column: Column) -> Values:
    """Return each different value once, converted as the service converts it."""
    encoded = found if pa.types.is_dictionary(found.type) else pc.dictionary_encode(found)
    values: list[Any] = [*to_list(encoded.dictionary), None]
    if pa.types.is_floating(encoded.dictionary.type):
        values = [None if value is not None and value != value else value for value in values]
    codes = encoded.indices.fill_null(len(values) - 1).to_numpy(zero_copy_only=False)
    wrong = np.array([not _fits(value, column.kind) for value in values])
    kept = [None if bad else value for value, bad in zip(values, wrong.tolist(), strict=True)]
    return Values(to_array(kept, column), codes, wrong[codes] if wrong.any() else None)


def _fits(value: Any, kind: str) -> bool:
    """Whether a value of a typed file is what the service would take: dates need not be text."""
    if kind == "date" and not isinstance(value, str | int | float | bool):
        try:
            to_array([value], Column("date", "date"))
        except REFUSALS:
            return False
        return True
    return fits(value, kind)
