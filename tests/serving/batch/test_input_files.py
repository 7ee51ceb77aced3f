"""Whatever training reads, scoring reads with the same values; what it does not read is refused by name."""

import gzip
import sqlite3
import zipfile
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from generated_files import score_as_trained
from pyarrow import feather, ipc, orc

from mlnb.errors import UsageError
from mlnb.methods.tables import dvc_pointers
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.spellings import stated_spelling
from mlnb.methods.tables.type_inference import clean
from mlnb.serving.batch.input_files import find_files
from mlnb.stages.validate import keep_formats


def make_table(rows=60, seed=0):
    """Return a table with text in European formats, dates, lists of numbers, categories and missing values."""
    random = np.random.default_rng(seed)
    rents = random.uniform(300, 9000, rows)
    texts = [f"{rent:,.2f}".replace(",", "_").replace(".", ",").replace("_", ".") for rent in rents]
    table = pd.DataFrame({
        "rent": texts,
        "day": [f"{1 + n % 28:02}.{1 + n % 12:02}.2024" for n in range(rows)],
        "opens": [f"{6 + n % 12:02}:30" for n in range(rows)],
        "floors": random.integers(1, 6, rows),
        "new": random.choice(["yes", "no"], rows),
        "city": random.choice(["Köln", "Bonn", None], rows),
    })  # fmt: skip
    return table


def typed(table):
    return table.assign(vector=[[float(n), n / 2] for n in range(len(table))])


def write_folder(folder, table):
    for number in range(3):
        table[number::3].to_csv(folder / f"part-{number}.csv", index=False)
    return folder


def write_partitions(folder, table):
    for year, rows in table.groupby(np.arange(len(table)) % 2):
        for state, part in rows.groupby("new"):
            inner = folder / f"year={2023 + year}" / f"state={state}"
            inner.mkdir(parents=True)
            part.to_parquet(inner / "part.parquet", index=False)
    return folder


def write_csv_partitions(folder, table):
    for year in (2023, 2024):
        (folder / f"year={year}").mkdir()
        table[year % 2 :: 2].to_csv(folder / f"year={year}" / "part.csv.gz", index=False)
    return f"{folder}/year=*/part.csv.gz"


def write_pointer(folder, table):
    (folder / ".dvc").mkdir()
    typed(table).to_parquet(folder / "rents.parquet", index=False)
    dvc_pointers.write_pointer(folder / "rents.parquet")
    (folder / "rents.parquet").unlink()
    return folder / "rents.parquet"


def write_zip(folder, table):
    with zipfile.ZipFile(folder / "rents.zip", "w") as archive:
        archive.writestr("__MACOSX/._rents.csv", "")
        archive.writestr("rents.csv", table.to_csv(index=False, sep=";"))
    return folder / "rents.zip"


def write_workbook(folder, table):
    with pd.ExcelWriter(folder / "rents.xlsx") as writer:
        pd.DataFrame({"note": range(900)}).to_excel(writer, sheet_name="notes", index=False)
        table.to_excel(writer, sheet_name="rents", index=False, startrow=2)
    return folder / "rents.xlsx"


def write_database(folder, table):
    with closing(sqlite3.connect(folder / "rents.db")) as connection:
        table.to_sql("rents", connection, index=False)
    return folder / "rents.db"


def write_arrow(folder, table):
    batches = pa.Table.from_pandas(typed(table), preserve_index=False).to_batches(max_chunksize=17)
    with ipc.new_file(folder / "rents.arrow", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return folder / "rents.arrow"


def write_stream(folder, table):
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    with ipc.new_stream(folder / "rents.arrow", arrow.schema) as writer:
        writer.write_table(arrow)
    return folder / "rents.arrow"


def write(name, save):
    def to(folder, table):
        save(table, folder / name)
        return folder / name

    return to


SOURCES = {
    "csv": write("rents.csv", lambda table, path: table.to_csv(path, index=False, sep=";", encoding="cp1252")),
    "gzip without its suffix": write("rents", lambda t, path: path.write_bytes(gzip.compress(t.to_csv().encode()))),
    "zip": write_zip,
    "parquet": write("rents.parquet", lambda table, path: typed(table).to_parquet(path, row_group_size=13)),
    "arrow": write_arrow,
    "arrow stream": write_stream,
    "feather": write("rents.feather", lambda table, path: feather.write_feather(typed(table), path)),
    "orc": write("rents.orc", lambda t, path: orc.write_table(pa.Table.from_pandas(typed(t)), path, stripe_size=512)),
    "json lines": write("rents.jsonl", lambda table, path: typed(table).to_json(path, orient="records", lines=True)),
    "json list, packed": write("rents.json.gz", lambda table, path: typed(table).to_json(path, orient="records")),
    "excel": write_workbook,
    "folder": write_folder,
    "glob": lambda folder, table: f"{write_folder(folder, table)}/part-?.csv",
    "hive partitions": write_partitions,
    "hive partitions of csv": write_csv_partitions,
    "dvc pointer": write_pointer,
    "database file": write_database,
    "database": lambda folder, table: f"sqlite:///{write_database(folder, table)}::select * from rents",
    "data set": lambda folder, table: "sklearn:iris",
}


@pytest.mark.parametrize("kind", SOURCES)
def test_scoring_the_training_source_reads_the_training_rows(kind, tmp_path):
    (tmp_path / "in").mkdir()
    source = str(SOURCES[kind](tmp_path / "in", make_table()))
    expected = ["rent"] if kind == "excel" else []
    raw, provenance = read_table(source, expected=expected)
    table, schema, _ = clean(raw, None, stated_spelling(provenance))
    if "rent" in table:
        assert table["rent"].max() > 300 and table["day"].dtype.kind == "M"
    assert score_as_trained(source, keep_formats(schema, provenance), table) == []


@pytest.mark.parametrize("kind", ["parquet", "json lines", "excel", "hive partitions", "database file"])
def test_another_format_is_read_by_the_formats_of_a_csv_file(kind, tmp_path):
    (tmp_path / "in").mkdir()
    table = make_table()
    table.assign(year=2023 + np.arange(60) % 2).to_csv(tmp_path / "train.csv", index=False, sep=";")
    raw, provenance = read_table(str(tmp_path / "train.csv"))
    if kind != "hive partitions":
        raw = raw.drop(columns="year")
    cleaned, schema, _ = clean(raw, None, stated_spelling(provenance))
    source = str(SOURCES[kind](tmp_path / "in", table))
    if kind == "hive partitions":
        order = table.assign(year=np.arange(60) % 2).reset_index().sort_values(["year", "new", "index"])["index"]
        cleaned = cleaned.iloc[order].reset_index(drop=True)
    trained = keep_formats(schema, provenance)
    differences = score_as_trained(source, trained, cleaned)
    assert [text for text in differences if "unknown columns ['vector" not in text and "'state'" not in text] == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rents.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", r"\.xls are not read; save it as \.xlsx"),
        ("rents.sav", b"$FL2", r"pandas\.read_spss"),
        ("rents.csv", b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        ("rents.csv.gz", b"\x1f\x8b\x08damaged", "gz"),
        ("rents.db", b"text", "not a sqlite database"),
        ("in/rents.rds", b"", r"'rents\.rds' cannot be read; save it as Parquet or CSV in R"),
        ("in/notes.md", b"", "there is no file to read in 'in'"),
    ],
)
def test_what_is_not_read_is_refused_by_name(name, content, message, tmp_path):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        find_files([str(path.parent if name.startswith("in/") else path)])


def test_an_archive_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n")
        archive.writestr("b.csv", "x\n1\n")
    with pytest.raises(UsageError, match=r"holds 2 files; expected one: a\.csv, b\.csv"):
        find_files([str(tmp_path / "x.zip")])


def test_passwords_are_filled_in_and_never_shown(monkeypatch):
    (file,) = find_files(["postgresql://me:${MLNB_TEST_PASSWORD}@host/shop::rents"])
    with pytest.raises(UsageError, match="export MLNB_TEST_PASSWORD"):
        assert file.source
    monkeypatch.setenv("MLNB_TEST_PASSWORD", "hunter2")
    assert file.source == "postgresql://me:hunter2@host/shop::rents" and "hunter2" not in file.shown
    (file,) = find_files(["postgresql://me:hunter2@host/shop::rents"])
    assert "hunter2" not in file.shown


def test_a_column_of_a_folder_s_name_is_read_for_one_file_too(tmp_path):
    (tmp_path / "year=2024").mkdir()
    (tmp_path / "year=2024" / "x.csv").write_text("x\n1\n")
    assert find_files([str(tmp_path / "year=2024/x.csv")], None, ("x", "year"))[0].partition == (("year", "2024"),)
    assert find_files([str(tmp_path / "year=2024/x.csv")], None, ("x",))[0].partition == ()
