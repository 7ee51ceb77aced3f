"""Objects are saved in open formats and round-trip."""

import os
import sys
from pathlib import Path

import numpy
import pandas
import pytest

from mlnb.column_files import ColumnFiles
from mlnb.engine import formats
from mlnb.engine.formats import as_json, load_object, save_object
from mlnb.engine.run_records import GitState, RunRecord
from mlnb.engine.store import Store
from mlnb.errors import ContractBroken, DamagedFileWarning, SchemaError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.mark.parametrize(
    "value",
    [
        {"é ü": [1, 2.5, None, True], "b": {"nested": "x"}},
        "text with ünïcode",
        pandas.DataFrame({"a b": [1.0, None], "ü": ["x", None]}),
        numpy.arange(6).reshape(2, 3),
        [],
        10**30,
    ],
)
def test_objects_round_trip_and_equal_objects_have_equal_bytes(store: Store, value: object) -> None:
    output = save_object(store, value, "a value")
    assert save_object(store, value, "a value") == output and output.description == "a value"
    loaded = load_object(store, output.format, output.digest)
    if isinstance(value, pandas.DataFrame):
        pandas.testing.assert_frame_equal(loaded, value)
    elif isinstance(value, numpy.ndarray):
        numpy.testing.assert_array_equal(loaded, value)
    else:
        assert loaded == value


def test_long_tables_and_large_arrays_are_written_without_a_copy(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, array = pandas.DataFrame({"a": [1.0, None], "b": ["x", None]}), numpy.arange(6).reshape(2, 3)
    short = [save_object(store, value) for value in (table, array)]
    monkeypatch.setattr(formats, "LONG", 2)
    monkeypatch.setattr(formats, "LARGE", 8)
    monkeypatch.setattr(formats, "_encode", None)
    assert [save_object(store, value) for value in (table, array)] == short
    files = ColumnFiles(tmp_path / "columns", 0)
    for output, value in zip(short, (table, array.tolist()), strict=True):
        loaded = load_object(store, output.format, output.digest, files=files)
        assert loaded.equals(value) if output.format == "table" else loaded.tolist() == value
    assert files.written > 0


def test_non_finite_numbers_become_null() -> None:
    assert as_json({1: float("nan"), "i": float("inf"), "n": numpy.float64(2)}) == {"1": None, "i": None, "n": 2.0}
    with pytest.raises(ContractBroken, match="cannot be saved as JSON"):
        as_json({"x": object()})


def test_a_folder_round_trips(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "ü.txt").write_text("x")
    output = save_object(store, folder)
    unpacked = load_object(store, output.format, output.digest)
    assert (output.format, output.bytes) == ("tree", 1) and (unpacked / "inner" / "ü.txt").read_text() == "x"
    os.chmod(unpacked / "inner" / "ü.txt", 0o644)
    (unpacked / "inner" / "ü.txt").write_text("changed by hand")
    with pytest.warns(DamagedFileWarning, match="was damaged"):
        again = load_object(store, output.format, output.digest)
    assert (again / "inner" / "ü.txt").read_text() == "x"


def test_a_class_of_the_notebook_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Local:
        pass

    Local.__module__, Local.__qualname__ = "__main__", "Local"
    monkeypatch.setattr(sys.modules["__main__"], "Local", Local, raising=False)
    with pytest.raises(ContractBroken, match="defined in the notebook"):
        save_object(store, Local())


def test_a_record_round_trips_as_its_class(store: Store) -> None:
    record = RunRecord(id="a", pid=1, pid_started=None, started="now", pipeline="train", git=None)
    output = save_object(store, record)
    assert output.format == "json"
    assert load_object(store, output.format, output.digest, RunRecord) == record
    with pytest.raises(SchemaError, match="artifact 'git' is not as expected"):
        load_object(store, output.format, output.digest, GitState, "artifact 'git'")


def test_a_path_must_exist(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match="No file or folder"):
        save_object(store, tmp_path / "none")


def test_a_long_table_is_read_column_by_column_with_the_same_values(store: Store, monkeypatch) -> None:
    monkeypatch.setattr("mlnb.engine.formats.LONG", 3)
    table = pandas.DataFrame({
        "a": [1.0, None, 3.0],
        "a.b": [1, 2, 3],
        "text": pandas.array(["x", None, ""], dtype="str"),
        "mixed": pandas.Series(["x", None, "y"], dtype=object),
        "truth": pandas.array([True, None, False], dtype="boolean"),
        "day": pandas.date_range("2024-02-28", periods=3).astype("datetime64[us]"),
        "": [True, False, True],
        "level": pandas.Categorical(["u", None, "v"]),
    })  # fmt: skip
    for value in (table, table.set_index("a.b"), table.rename(index=lambda row: row + 1), table[["a"]].head(0)):
        output = save_object(store, value)
        loaded = load_object(store, "table", output.digest)
        with store.open(output.digest) as file:
            pandas.testing.assert_frame_equal(loaded, pandas.read_parquet(file))
        assert save_object(store, loaded).digest == save_object(store, loaded.copy()).digest
