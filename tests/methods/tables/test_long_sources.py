"""Long sources: a table in a file has the values and the provenance of one that is read at once."""

import gzip

import pytest

from mlnb.codec import replace
from mlnb.column_files import ColumnFiles
from mlnb.methods.contracts.declarations import ColumnDeclaration, Declarations
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.long_sources import read_long_table
from mlnb.methods.tables.personal_columns import protect_table
from mlnb.methods.tables.type_inference import clean
from mlnb.parquet_table import ParquetTable


def test_folders_have_the_values_and_the_provenance_of_files_read_at_once(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rows = tmp_path / "rows"
    for month, text in (("01", "b;a\nx;1\ny;-9\n"), ("02", "a;b\n2;y\n3;z\n4;x\n")):
        (rows / f"month={month}").mkdir(parents=True)
        (rows / f"month={month}" / "part.csv").write_text(text)
    for source in (str(rows), f"{rows}/*/*.csv"):
        table, provenance = read_long_table(source, scratch, least_bytes=1)
        whole, described = read_table(source)
        assert isinstance(table, ParquetTable) and provenance == described
        assert table.to_pandas().equals(whole)
        typed, schema, findings = clean(table, "a")
        for one, other in zip((typed, schema, findings), clean(whole, "a"), strict=True):
            assert one.equals(other) if one is typed else one == other


def test_columns_of_a_table_that_fits_in_memory_are_read_once(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("a;b\n1,5;x\n2,5;y\n3,5;x\n")
    table, _ = read_long_table(str(tmp_path / "x.csv"), tmp_path, least_bytes=1)
    read, names = ParquetTable.__getitem__, []
    monkeypatch.setattr(ParquetTable, "__getitem__", lambda self, name: names.append(name) or read(self, name))
    once = clean(table, "b")
    assert sorted(names) == ["a", "b"]
    names.clear()
    (tmp_path / "columns").mkdir()
    again = clean(table, "b", files=ColumnFiles(tmp_path / "columns", limit=1))
    assert sorted(names) == ["a", "a", "b", "b"]  # the table does not fit: one column is in memory at a time
    assert once[0].equals(again[0]) and once[1:] == again[1:]


def test_what_is_not_long_text_is_read_at_once(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n"))
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
    (tmp_path / "blanks.txt").write_text("1.5  2.5\n3.5  4.5\n")
    for name, least in (("x.csv", 100), ("x.csv.gz", 1), ("x.jsonl", 1), ("blanks.txt", 1)):
        source = str(tmp_path / name)
        table, provenance = read_long_table(source, tmp_path, least_bytes=least)
        assert table.equals(read_table(source)[0]) and provenance == read_table(source)[1]
    with pytest.raises(FileNotFoundError, match=r"did you mean 'x.csv'"):
        read_long_table(str(tmp_path / "y.csv"), tmp_path, least_bytes=1)


def test_personal_data_does_not_stay_in_the_file(tmp_path):
    (tmp_path / "x.csv").write_text("mail,name,y\n,Bo,1\na@b.org,,2\n,Al,3\n")
    source = str(tmp_path / "x.csv")
    columns = {
        "mail": ColumnDeclaration(personal="pseudonymize"),
        "name": ColumnDeclaration(personal="mask"),
        "y": ColumnDeclaration(),
    }
    declared = replace(Declarations(), columns=columns)
    key = "0123456789abcdef" * 4
    table, _ = read_long_table(source, tmp_path, least_bytes=1)
    protected, checked = protect_table(table, declared, key)
    expected, expected_checked = protect_table(read_table(source)[0], declared, key)
    assert checked == expected_checked and not table.path.exists()
    shown = protected.to_pandas()
    assert shown.astype(object).where(shown.notna(), None).equals(expected.astype(object).where(expected.notna(), None))
    assert b"a@b.org" not in protected.path.read_bytes()
