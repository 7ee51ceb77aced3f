"""Columns in memory-mapped files have the same types and values, and leave no file behind."""

import math
from pathlib import Path

import numpy
import pandas
import pytest

from mlnb.column_files import IN_MEMORY, ColumnFiles

ROWS = 9
COLUMNS = {
    "float": pandas.Series([0.1, math.nan, -0.0] * 3),
    "small float": pandas.Series(numpy.arange(ROWS, dtype=numpy.float32)),
    "whole": pandas.Series(range(ROWS)),
    "truth": pandas.Series([True, False, True] * 3),
    "truth or missing": pandas.Series([True, None, False] * 3, dtype="boolean"),
    "text": pandas.Series(["é", None, ""] * 3, dtype="str"),
    "date": pandas.Series(pandas.to_datetime(["2024-01-01", None, "1700-01-01"] * 3).astype("datetime64[us]")),
    "category": pandas.Series(pandas.Categorical([8001, None, 9000] * 3)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_in_a_file_equals_the_column(tmp_path: Path, name: str) -> None:
    files, values = ColumnFiles(tmp_path / "columns", 0), COLUMNS[name].rename(name)
    stored = files.keep(values)
    pandas.testing.assert_series_equal(stored, values)
    assert files.written > 0 and not list((tmp_path / "columns").iterdir())
    assert numpy.signbit(stored.to_numpy()[2]) if name == "float" else True
    pandas.testing.assert_series_equal(stored.iloc[::2], values.iloc[::2])


def test_a_table_of_such_columns_is_not_copied(tmp_path: Path) -> None:
    files = ColumnFiles(tmp_path, 0)
    table = pandas.DataFrame({name: files.keep(values) for name, values in COLUMNS.items()}, copy=False)
    pandas.testing.assert_frame_equal(table, pandas.DataFrame(COLUMNS))
    assert not table["float"].to_numpy().flags.writeable  # a copy could be written to
    with pytest.raises(ValueError, match="read-only"):
        table["float"].to_numpy()[0] = 1.0


def test_what_has_no_bytes_of_a_fixed_size_stays_in_memory(tmp_path: Path) -> None:
    files, values = ColumnFiles(tmp_path / "columns", 0), pandas.Series([1, "a"], dtype=object)
    assert files.keep(values) is values
    assert files.written == 0 and not (tmp_path / "columns").exists()


def test_the_size_of_the_table_decides(tmp_path: Path) -> None:
    files, values = ColumnFiles(tmp_path, 100), COLUMNS["float"]
    assert not files.holds(100) and files.holds(101)
    assert files.keeper(100)(values) is values and files.written == 0
    assert files.keeper(101)(values).equals(values) and files.written == 8 * ROWS
    assert not IN_MEMORY.holds(1e18) and IN_MEMORY.keeper(1e18)(values) is values
