"""An Arrow column as the encoder reads it: numbers as they are, everything else once for each distinct value."""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlnb.methods.contracts.format_descriptions import describe_format
from mlnb.methods.contracts.table_formats import MISSING_WORDS
from mlnb.methods.tables.column_formats import read_cells
from mlnb.methods.tables.columns import Column, to_array, without_sentinels
from mlnb.methods.tables.values import REFUSALS, fits

LONGEST = max(map(len, MISSING_WORDS))
GROUPED = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"  # one point, and three digits behind it: a fraction, or thousands
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


@dataclass(frozen=True)
class ColumnValues:
    """The values of one column with n rows.

    Args:
        values: as `to_array` returns them: of the rows (n,), or of the u distinct values (u,).
        codes: the distinct value of each row (n,); None where `values` are of the rows.
        bad: rows whose value does not fit the column (n,) bool; None: there are none.
    """

    values: np.ndarray
    codes: np.ndarray | None
    bad: np.ndarray | None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values if self.codes is None else self.codes)

    def expand(self) -> np.ndarray:
        """Return the value of each row (n,)."""
        return self.values if self.codes is None else self.values[self.codes]


def read_column(array: pa.Array | None, column: Column, rows: int, text: bool) -> ColumnValues:
    """Return a column's values; rows that the service would refuse are marked bad and hold missing values.

    Args:
        array: the values (n,); None: the file has no such column.
        column: the column of the schema.
        rows: n.
        text: whether every value is text, because the file is CSV.
    """
    if array is None:
        return ColumnValues(to_array([None], column), np.zeros(rows, dtype=np.int64), None)
    formatted = column.format is not None or column.kind == "boolean"
    if not text and formatted and _holds_text(array.type):  # text in a typed file, as in training
        array, text = array.cast(pa.string()), True
    if text:
        array = _blank_missing(array, column.missing_words)
        if column.format is not None:
            return _read_formatted(array, column)
        if column.kind == "number":
            return _parse_numbers(array, column)
    kind = array.type
    if column.kind == "number" and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return _read_numbers(array, column)
    if column.kind == "date" and pa.types.is_timestamp(kind):
        encoded = pc.dictionary_encode(array)
        if len(encoded.dictionary) * 4 > len(array):
            return ColumnValues(to_array(_to_instants(array, column), column), None, None)
        codes = _to_codes(encoded, len(encoded.dictionary))
        return ColumnValues(np.append(to_array(_to_instants(encoded.dictionary, column), column), np.nan), codes, None)
    return _read_distinct(array, column)


def _holds_text(kind: pa.DataType) -> bool:
    """Return whether an array holds text, also as distinct values and codes."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def to_list(values: pa.Array | pa.Table) -> list[Any]:
    """Return plain values, or rows."""
    try:
        plain: list[Any] = values.to_pylist()
    except ValueError:  # nanoseconds need pandas, which pyarrow did not find before: see `import_lightgbm_alone`
        values.slice(0, 0).to_pandas()
        plain = values.to_pylist()
    return plain


def _to_instants(array: pa.Array, column: Column) -> np.ndarray:
    """Return timestamps as numpy's: in UTC, or the local time of a column of local days."""
    if column.local and array.type.tz is not None:
        array = pc.local_timestamp(array)
    instants: np.ndarray = array.cast(pa.timestamp(array.type.unit)).to_numpy(zero_copy_only=False)
    return instants


def _blank_missing(array: pa.Array, declared: tuple[str, ...]) -> pa.Array:
    """Return cells of CSV without surrounding blanks; null for words and declared texts of a missing value."""
    trimmed = pc.utf8_trim_whitespace(array)
    if declared:
        trimmed = pc.if_else(pc.is_in(trimmed, pa.array(declared)), pa.scalar(None, trimmed.type), trimmed)
    short = pc.less_equal(pc.utf8_length(trimmed), LONGEST)
    if not pc.any(short).as_py():
        return trimmed
    missing = pc.is_in(pc.utf8_lower(trimmed), pa.array(sorted(MISSING_WORDS)))
    return pc.if_else(missing, pa.scalar(None, trimmed.type), trimmed)


def _read_formatted(array: pa.Array, column: Column) -> ColumnValues:
    """Return each distinct cell once, read in the format of the training file; bad where it does not fit."""
    assert column.format is not None
    encoded = pc.dictionary_encode(array)
    cells: list[str] = to_list(encoded.dictionary)
    values = read_cells(cells, column.format)
    wrong = np.append(np.isnan(values), False)
    codes = _to_codes(encoded, len(cells))
    read = np.append(without_sentinels(values, column), np.nan)
    return ColumnValues(read, codes, wrong[codes] if wrong.any() else None)


def _parse_numbers(array: pa.Array, column: Column) -> ColumnValues:
    """Return the numbers that cells hold; bad where they hold none.

    Where training had whole numbers and all fractions have three digits, as 35.129 in a European file, these are bad.
    """
    try:
        numbers = _read_numbers(array.cast(pa.float64()), column)
        grouped = _find_grouped(array) if column.integer else None
        if grouped is None:
            return numbers
        return replace(numbers, bad=grouped if numbers.bad is None else grouped | numbers.bad)
    except pa.ArrowInvalid:
        valid = pc.fill_null(pc.match_substring_regex(array, NUMBER), True)
        numbers = _read_numbers(pc.if_else(valid, array, pa.scalar(None, array.type)).cast(pa.float64()), column)
        bad = ~valid.to_numpy(zero_copy_only=False)
        return ColumnValues(numbers.values, None, bad if numbers.bad is None else bad | numbers.bad)


def _find_grouped(array: pa.Array) -> np.ndarray | None:
    """Return which cells have a point that may separate thousands (n,); None for none, or where one is a fraction."""
    pointed = pc.fill_null(pc.match_substring(array, "."), False)
    if not pc.any(pointed).as_py():
        return None
    grouped = pc.fill_null(pc.match_substring_regex(array, GROUPED), False)
    return grouped.to_numpy(zero_copy_only=False) if grouped.equals(pointed) else None


def _read_numbers(array: pa.Array, column: Column) -> ColumnValues:
    """Return numbers as float64, NaN where missing or a sentinel of the column; bad where infinite."""
    numbers = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    infinite = np.isinf(numbers)
    if not infinite.any():
        return ColumnValues(without_sentinels(numbers, column), None, None)
    return ColumnValues(without_sentinels(np.where(infinite, np.nan, numbers), column), None, infinite)


def describe_cell(column: Column, expected: str, cell: Any) -> str:
    """Return what is expected of a cell of CSV, in the format of the training file.

    Args:
        column: of the schema.
        expected: what the service expects of a value.
        cell: that does not fit.
    """
    if column.format is not None:
        kind = expected if column.format.date is None else "a date"
        return f"{kind} as in training: {describe_format(column.format)}"
    if column.kind == "number" and column.integer and re.fullmatch(GROUPED, str(cell).strip()):
        return "a whole number as in training, without a separator of thousands"
    return expected


def _to_codes(encoded: pa.DictionaryArray, missing: int) -> np.ndarray:
    """Return the code of each row (n,), `missing` where there is no value; without a copy where all rows have one."""
    indices = encoded.indices.fill_null(missing) if encoded.null_count else encoded.indices
    codes: np.ndarray = indices.to_numpy(zero_copy_only=False)
    return codes


def _read_distinct(array: pa.Array, column: Column) -> ColumnValues:
    """Return each distinct value once, converted as the service converts it."""
    encoded = array if pa.types.is_dictionary(array.type) else pc.dictionary_encode(array)
    values: list[Any] = [*to_list(encoded.dictionary), None]
    if pa.types.is_floating(encoded.dictionary.type):
        values = [None if value is not None and value != value else value for value in values]
    codes = _to_codes(encoded, len(values) - 1)
    bad = np.array([not _fits(value, column.kind) for value in values])
    valid = [None if wrong else value for value, wrong in zip(values, bad.tolist(), strict=True)]
    return ColumnValues(to_array(valid, column), codes, bad[codes] if bad.any() else None)


def _fits(value: Any, kind: str) -> bool:
    """Return whether the service would accept a value of a typed file: dates need not be text."""
    if kind == "date" and not isinstance(value, str | int | float | bool):
        try:
            to_array([value], Column("date", "date"))
        except REFUSALS:
            return False
        return True
    return fits(value, kind)
