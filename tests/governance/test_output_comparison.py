"""Explanations of what differs between two runs' outputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlnb.governance.output_comparison import _first_file, first_difference

TABLE = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": ["x", None, "z"]})


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"a": {"b/c": [1, 2]}}, {"a": {"b/c": [1, 3]}}, "/a/b~1c/1 2 -> 3"),
        ({"a": 1}, {"a": 1, "b": None}, "/b nothing -> None"),
        ([1], [], "/0 1 -> nothing"),
        (1, 1.0, "the value 1 -> 1.0"),
        (True, 1, "the value True -> 1"),
        ("x" * 200, "y", "the value '" + "x" * 78 + "… -> 'y'"),
        ({"a": 1}, {"a": 1}, "equal values"),
        (TABLE, TABLE.assign(a=[1.0, np.nan, 4.0]), "column 'a', row 2: 3.0 -> 4.0; 1 of 3 rows differ"),
        (TABLE, TABLE.assign(b=["x", "y", "z"]), "column 'b', row 1: nan -> 'y'; 1 of 3 rows differ"),
        (TABLE, TABLE.head(2), "shape (3, 2) -> (2, 2)"),
        (TABLE, TABLE.rename(columns={"a": "c"}), "columns ['a', 'b'] -> ['c', 'b']"),
        (TABLE, TABLE.assign(a=[1, 2, 3]), "column 'a' is int64, not float64"),
        (TABLE, TABLE.copy(), "equal values, in other bytes"),
        (np.array([1.0, np.nan]), np.array([1.0, 2.0]), "number 1: nan -> 2.0; 1 of 2 differ"),
        (np.array([1.0]), np.array([1], dtype=np.int8), "shape (1,), float64 -> (1,), int8"),
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), "equal values, in other bytes"),
    ],
)
def test_the_first_difference_is_described(first: Any, second: Any, text: str) -> None:
    assert first_difference(first, second) == text


def test_the_first_file_that_differs_is_named(tmp_path: Path) -> None:
    for name, values in (("one", '{"a": 1}'), ("two", '{"a": 2}')):
        (tmp_path / name / "inner").mkdir(parents=True)
        (tmp_path / name / "inner" / "b.json").write_text(values)
        (tmp_path / name / "a.txt").write_text("same")
    first, second = tmp_path / "one", tmp_path / "two"
    assert _first_file(first, second) == "file inner/b.json, /a 1 -> 2"
    (second / "inner" / "b.json").write_text("text")
    assert _first_file(first, second) == "file inner/b.json, 8 and 4 bytes"
    (second / "0.txt").write_text("new")
    assert _first_file(first, second) == "the file 0.txt is in one of them only"
    assert _first_file(first, first) == "equal files"
