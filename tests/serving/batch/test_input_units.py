"""Input: which files match, and how they are split into units."""

import gzip

import pandas as pd
import pytest

from mlnb.errors import UsageError
from mlnb.serving.batch import input_units
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.input_units import count_rows, split_files


def test_quoted_text_is_never_split(tmp_path, monkeypatch):
    monkeypatch.setattr(input_units, "BLOCK", 64)
    lines = ['"a, with\nnew ""lines"" in it",1\n', "plain,2\n"] * 20
    (tmp_path / "x.csv").write_text("text,number\n" + "".join(lines))
    files = find_files([str(tmp_path / "x.csv")])
    units = list(split_files(files, (0, 0), 1))
    bodies = [unit.body for unit in units]
    assert b"".join(bodies).decode() == "".join(lines)
    assert len(units) > 5
    assert all(body.count(b'"') % 2 == 0 for body in bodies)
    again = list(split_files(files, units[2].next, 1))
    assert [unit.body for unit in again] == [unit.body for unit in units[3:]]


def test_files_match_by_folder_and_glob(tmp_path):
    (tmp_path / "b.csv").write_text("x\n1\n")
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"x\ty\n1\t2\n"))
    (tmp_path / "notes.md").write_text("no data")
    files = find_files([str(tmp_path), str(tmp_path / "*.csv")])
    assert [file.url.rpartition("/")[2] for file in files] == ["a.tsv.gz", "b.csv", "b.csv"]
    assert [(file.kind, file.compression) for file in files[:2]] == [("csv", "gzip"), ("csv", None)]
    assert (files[0].layout.names, files[0].layout.separator) == (("x", "y"), "\t")


def test_a_changed_file_has_another_version(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("x\n1\n")
    before = find_files([str(path)])
    path.write_text("x\n12\n")
    assert find_files([str(path)])[0].version != before[0].version


def test_an_empty_file_is_an_error(tmp_path):
    (tmp_path / "x.csv").write_text("\n \n")
    with pytest.raises(UsageError, match=r"x\.csv: the file is empty; expected a table"):
        assert find_files([str(tmp_path / "x.csv")])[0].layout


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_files_in_any_encoding_are_read_as_the_same_lines(tmp_path, monkeypatch, encoding):
    monkeypatch.setattr(input_units, "BLOCK", 64)
    lines = [f"größe {n};{n},5\n" for n in range(100)]
    (tmp_path / "x.csv").write_bytes(("Länge;Maß\n" + "".join(lines)).encode(encoding))
    files = find_files([str(tmp_path / "x.csv")])
    units = list(split_files(files, (0, 0), 1))
    assert files[0].layout.names == ("Länge", "Maß")
    assert b"".join(unit.body for unit in units).decode() == "".join(lines)
    again = list(split_files(files, units[1].next, 1))
    assert [unit.body for unit in again] == [unit.body for unit in units[2:]]


def test_large_row_groups_are_split_between_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(input_units, "SLICE", 100)
    pd.DataFrame({"x": range(1000)}).to_parquet(tmp_path / "x.parquet", row_group_size=400)
    files = find_files([str(tmp_path / "x.parquet")])
    units = list(split_files(files, (0, 0), 2))
    assert [(unit.group, unit.slice) for unit in units] == [
        (0, (0, 200)), (0, (200, 400)), (1, (0, 200)), (1, (200, 400)), (2, (0, 100)), (2, (100, 200)),
    ]  # fmt: skip
    assert count_rows(files) == 1000
    (tmp_path / "y.csv").write_text("x\n1\n")
    assert count_rows(find_files([str(tmp_path)])) is None
