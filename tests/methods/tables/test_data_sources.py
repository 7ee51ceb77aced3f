"""Sources: files of every kind give the same values, and what cannot be read names the way out."""

import datetime
import decimal
import sqlite3

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy

from mlnb.errors import DataError
from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.tables import data_sources, databases
from mlnb.methods.tables.columns import to_arrays
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.spellings import stated_spelling
from mlnb.methods.tables.type_inference import clean

PEOPLE = pd.DataFrame({"id": [1, 2, 3], "height": [1.5, 1.75, None], "name": ["Zoë", "Bo, Jr.", None]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    PEOPLE.to_csv(folder / "p.csv", index=False)
    PEOPLE.to_csv(folder / "latin.csv", index=False, sep=";", decimal=",", encoding="latin-1")
    PEOPLE.to_excel(folder / "p.xlsx", index=False, sheet_name="people")
    PEOPLE.head(0).to_parquet(folder / "none.parquet")
    with sqlite3.connect(folder / "p.db") as connection:
        PEOPLE.to_sql("people", connection, index=False)
        PEOPLE.to_sql("others", connection, index=False)
    connection.close()
    for name, data in [
        ("empty.csv", b""), ("header.csv", b"a,b\n"), ("bad.gz", b"no"), ("bad.parquet", b"PAR1"),
        ("bad.jsonl", b'{"a": 1}\n{a}\n'), ("list.json", b"[1, 2]"), ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        ("lfs.csv", b"version https://git-lfs.github.com/spec/v1\n"), ("x.sav", b"$FL2"),
        ("gone.csv.dvc", b"outs:\n- md5: c64d01dac59e16ab43ab55d6b6c1aa46\n  path: gone.csv\n"),
    ]:  # fmt: skip
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("q.csv", {}, "did you mean 'p.csv'"),
        ("nowhere/q.csv", {}, "there is no file 'q.csv'"),
        ("empty.csv", {}, "empty.csv: the file is empty"),
        ("header.csv", {}, "and no rows"),
        ("latin.csv", {"separator": ","}, "look cut by ';'"),
        ("bad.gz", {}, "cannot be unpacked"),
        ("bad.parquet", {}, "bad.parquet: the file cannot be read as parquet"),
        ("bad.jsonl", {}, "is not JSON lines"),
        ("list.json", {}, "is not a table"),
        ("none.parquet", {}, "has 0 rows and 3 columns"),
        ("p.xlsx", {"sheet": "poeple"}, "did you mean 'people'"),
        ("p.csv", {"decimal": ";"}, "unknown decimal separator"),
        ("old.xls", {}, "save it as .xlsx or .csv"),
        ("lfs.csv", {}, "git lfs pull"),
        ("x.sav", {}, "pandas.read_spss"),
        ("gone.csv", {}, "dvc pull gone.csv.dvc"),
        ("p.db", {}, "2 tables .others, people.; state one: sqlite:///p.db::others"),
        ("*.pq", {}, "there is no file to read"),
    ],
)
def test_what_cannot_be_read_names_the_way_out(folder, name, options, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        read_table(str(folder / name), **options)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "command"),
    [
        ("s3://bucket/a.csv", r"mlnb\[s3\]"),
        ("gs://bucket/*.parquet", r"mlnb\[gcs\]"),
        ("abfs://bucket/a.csv", r"mlnb\[azure\]"),
        ("bigquery://project/set::table", r"mlnb\[bigquery\]"),
        ("mysql://host/db::table", "pip install 'pymysql'"),
        ("snowflake://account/db::table", "snowflake-sqlalchemy"),
    ],
)
def test_a_missing_driver_is_named_with_its_command(source, command, monkeypatch):
    import sys

    for module in ("s3fs", "gcsfs", "adlfs", "MySQLdb", "sqlalchemy_bigquery"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=command):
        read_table(source)


def test_sets_of_scikit_learn_and_databases_suggest_names(folder):
    with pytest.raises(ValueError, match="did you mean 'iris'"):
        read_table("sklearn:irys")
    with pytest.raises(ValueError, match="did you mean 'people'"):
        read_table(f"sqlite:///{folder}/p.db::peple")
    with pytest.raises(FileNotFoundError, match=r"there is no database 'none\.db'"):
        read_table(f"sqlite:///{folder}/none.db::people")


def test_files_of_one_folder_are_one_table(tmp_path):
    for month, rows in (("01", "b;a\nx;1\n"), ("02", "a;b\n2;y\n3;z\n")):
        (tmp_path / f"month={month}").mkdir()
        (tmp_path / f"month={month}" / "part.csv").write_text(rows)
    (tmp_path / "_SUCCESS").write_text("")
    table, provenance = read_table(str(tmp_path))
    assert table.to_dict("list") == {"b": ["x", "y", "z"], "a": ["1", "2", "3"], "month": ["01", "02", "02"]}
    assert provenance["files"] == 2 and provenance["digest"] == read_table(f"{tmp_path}/*/*.csv")[1]["digest"]
    (tmp_path / "month=02" / "part.csv").write_text("a;c\n2;y\n")
    with pytest.raises(ValueError, match=r"'part.csv' and 'part.csv' differ in the columns b, c"):
        read_table(str(tmp_path))


def test_types_of_arrow_keep_their_meaning(tmp_path):
    noon, midnight = 1_719_828_000_000_000, 1_719_784_800_000_000  # of 2024-07-01 in Berlin, microseconds
    table = pa.table({
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "account": pa.array([2**60, None]),
        "kind": pa.array(["a", "b"]).dictionary_encode(),
        "opens": pa.array([datetime.time(0, 30), datetime.time(12)]),
        "day": pa.array([datetime.date(2024, 2, 29), None]),
        "seen": pa.array([noon] * 2, pa.timestamp("us", "Europe/Berlin")),
        "local": pa.array([midnight] * 2, pa.timestamp("us", "Europe/Berlin")),
        "flag": pa.array([True, None]),
        "embedding": pa.array([[0.5, 1.0], None], pa.list_(pa.float32(), 2)),
        "photo": pa.array([{"bytes": b"."}, None]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    raw, provenance = read_table(str(tmp_path / "x.parquet"))
    assert raw["price"].tolist()[0] == 1.5 and raw["account"][0] == str(2**60)
    assert raw["opens"].tolist() == [1800.0, 43200.0] and str(raw["day"][0])[:10] == "2024-02-29"
    assert str(raw["seen"][0]) == "2024-07-01 10:00:00" and raw["flag"].dtype == "boolean"
    assert raw[["embedding[0]", "embedding[1]"]].iloc[0].tolist() == [0.5, 1.0] and np.isnan(raw["embedding[0]"][1])
    assert provenance["unusable"].keys() == {"photo"} and "photo" not in raw
    typed, schema, _ = clean(raw)
    assert str(typed["local"][0])[:10] == "2024-07-01" and schema.column("local").local


def test_lists_in_json_are_vectors_and_objects_are_left_out(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"v": [1, 2], "o": {"a": 1}, "n": 1}\n{"v": [3, 4], "o": null, "n": 2}\n')
    raw, provenance = read_table(str(tmp_path / "x.jsonl"))
    assert raw.to_dict("list") == {"v[0]": [1, 3], "v[1]": [2, 4], "n": [1, 2]}
    assert list(provenance["unusable"]) == ["o"]


def test_the_sheet_with_the_table_is_read_and_others_are_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "x.xlsx") as writer:
        pd.DataFrame([["a note"]]).to_excel(writer, sheet_name="cover", header=False, index=False)
        pd.DataFrame({"a": [1, 2], "b": [3, 4]}).to_excel(writer, sheet_name="small", index=False)
        rows = [
            ["Report", None, None],
            [None, None, None],
            [2023, 2024, "shop"],
            *([n, n + 1, f"s{n}"] for n in range(9)),
        ]
        rows += [["Total", 45, None]]
        pd.DataFrame(rows).to_excel(writer, sheet_name="data", header=False, index=False, startrow=1, startcol=1)
    table, provenance = read_table(str(tmp_path / "x.xlsx"), expected=["2024"])
    assert table.columns.tolist() == ["2023", "2024", "shop"] and table["2024"].tolist() == list(range(1, 10))
    assert provenance["sheet"] == "data" and provenance["other_sheets"] == ["small"]
    assert provenance["skipped"] == 1 and provenance["footer"] == 1
    assert read_table(str(tmp_path / "x.xlsx"), sheet="small")[0].shape == (2, 2)
    assert read_table(str(tmp_path / "x.xlsx"), sheet="small", header="no")[0].shape == (3, 2)


def test_a_database_that_does_not_respond_is_no_error_of_the_query():
    pytest.importorskip("psycopg")
    with pytest.raises(ConnectionError, match="the database does not respond"):
        read_table("postgresql://ann@127.0.0.1:1/shop::orders")


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        ("sqlite", "database is locked", True),
        ("sqlite", "no such column: x", False),
        ("postgresql", "server closed the connection unexpectedly", True),
        ("postgresql", "password authentication failed for user ann", False),
        ("postgresql", 'database "shops" does not exist', False),
    ],
)
def test_only_faults_of_the_connection_are_unavailability(dialect, text, expected):
    error = sqlalchemy.exc.OperationalError("select 1", {}, Exception(text))
    assert databases._is_unavailable(error, dialect) is expected


def test_duckdb_reads_queries_over_files(tmp_path):
    pytest.importorskip("duckdb")
    PEOPLE.to_parquet(tmp_path / "p.parquet")
    table, _ = read_table("duckdb://::select id, name from 'p.parquet' where id > 1", folder=str(tmp_path))
    assert table["id"].tolist() == [2, 3]
    with pytest.raises(ValueError, match="DuckDB rejects"):
        read_table("duckdb://::select nothing from 'p.parquet'", folder=str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "when,value\n"),
        ("a.csv", " \n"),
        ("a.jsonl", "[1]"),
        ("a.parquet", "PAR1"),
        ("a.db", "x"),
        ("a.xls", "x"),
    ],
)
def test_a_source_that_holds_no_table_is_a_typed_error(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=name):
        read_table(str(tmp_path / name))


def test_a_long_file_is_read_column_by_column_with_the_same_values(tmp_path, monkeypatch):
    table = pa.table({
        "vector": pa.array([[0.5, 1.0], None, [2.0, 3.0]], pa.list_(pa.float32())),
        "price": [decimal.Decimal("1.50"), None, decimal.Decimal("2.25")],
        "truth": [True, None, False],
        "count": pa.array([2**60, None, 3]),
        "text": ["a", None, "é"],
        "level": pa.array(["x", "y", None]).dictionary_encode(),
        "day": [datetime.date(2024, 2, 29), None, datetime.date(2024, 3, 1)],
        "zoned": pa.array([1_719_784_800_000_000, None, 1_719_871_200_000_000], pa.timestamp("us", "Europe/Berlin")),
        "photo": [b"x", None, b"y"],
        "a": [1, 2, 3],
        "a.b": [4, 5, 6],
        "": [7.0, None, 8.0],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=2)
    short, described = read_table(str(tmp_path / "x.parquet"))
    for module in ("data_sources", "one_type"):
        monkeypatch.setattr(f"mlnb.methods.tables.{module}.LONG", 1)
    long, same = read_table(str(tmp_path / "x.parquet"))
    pd.testing.assert_frame_equal(long, short)
    assert same == described and list(described["unusable"]) == ["photo"] and {"a", "a.b", "vector[1]"} <= set(long)


@pytest.mark.parametrize("suffix", ["parquet", "feather", "folder"])
def test_categories_that_are_numbers_stay_categories_in_training_and_scoring(tmp_path, suffix, monkeypatch):
    zips, sizes, y = [8001, 9000, 8001, 7, 9000] * 6, [1.0, None, 2.5, 1.0, 1.0] * 6, [0, 1, 1, 0, 1] * 6
    frame = pd.DataFrame({"zip": pd.Categorical(zips), "size": pd.Categorical(sizes), "y": pd.Categorical(y)})
    source = tmp_path / f"x.{suffix}"
    if suffix == "folder":
        source.mkdir()
        for number, rows in enumerate((frame[:3], frame[3:])):
            rows.assign(zip=rows["zip"].cat.remove_unused_categories()).to_parquet(source / f"{number}.parquet")
    else:
        (frame.to_parquet if suffix == "parquet" else frame.to_feather)(source)
    labels = {"zip": ("7", "8001", "9000"), "size": ("1", "2.5"), "y": ("0", "1")}
    for rows in (10**6, 1):  # at once, and column by column
        monkeypatch.setattr(data_sources, "LONG", rows)
        raw, provenance = read_table(str(source))
        assert provenance["categories"] == ["zip", "size", "y"]
        table, schema, _ = clean(raw, "y", stated_spelling(provenance))
        assert {column.name: column.categories for column in schema.columns} == labels
        assert table["zip"].tolist()[:4] == ["8001", "9000", "8001", "7"] and table["size"].isna().sum() == 6
        plain = pd.DataFrame({"zip": zips, "size": sizes, "y": y})
        for scored in (raw, frame, plain, [{"zip": 8001, "size": 1}, {"zip": "9000"}]):
            arrays = to_arrays(scored, schema)
            assert [arrays[name][0] for name in arrays] == ["8001", "1"] and arrays["size"][1] is None
    assert clean(frame, "y")[1].column("zip").kind == "category"
    number = clean(raw, "y", stated_spelling(provenance), declarations={"zip": ColumnDeclaration(kind="number")})
    assert number[0]["zip"].tolist()[:2] == [8001.0, 9000.0]
