"""Rows of a unit: typed columns and lists in Parquet, and lines of CSV that training reads too."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlnb.errors import UsageError
from mlnb.methods.contracts.table_formats import Layout
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.type_inference import clean
from mlnb.serving.batch.arrow_columns import read_column
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.input_units import split_files
from mlnb.serving.batch.unit_tables import all_names, read_tables


def read(path, names, layout=None, expected=()):
    """The rows of a file as batch scoring reads them."""
    files = find_files([str(path)], layout, expected)
    units = split_files(files, (0, 0), 1)
    return pa.concat_tables(table for unit in units for table in read_tables(files[0], unit, (), names))


def test_typed_columns_and_lists_are_read_as_in_training(tmp_path):
    midnights = [1_719_784_800_000_000 + day * 86_400_000_000 for day in range(3)]  # in Berlin, microseconds
    table = pa.table({
        "v": pa.array([[0.5, 1.0], [0.25, 2.0], None]),
        "opens": pa.array([datetime.time(0, 30), None, datetime.time(12)]),
        "local": pa.array(midnights, pa.timestamp("us", "Europe/Berlin")),
        "rent": pa.array(["1.480,5", "862", "7.011,25"]),
        "kind": pa.array(["a", "b", None]).dictionary_encode(),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    typed, schema, _ = clean(read_table(str(tmp_path / "x.parquet"))[0])
    scored = read(tmp_path / "x.parquet", list(schema.names))
    for column in schema.columns:
        values = read_column(scored.column(column.name).combine_chunks(), column, 3, False)
        assert values.bad is None, column.name
        result = values.values if values.codes is None else values.values[values.codes]
        trained = typed[column.name]
        if column.kind == "date":
            trained = trained.astype("datetime64[us]").astype(np.int64) / 1e6
        expected = [None if value != value else value for value in trained.tolist()]
        assert [None if value != value else value for value in result.tolist()] == expected, column.name
    assert all_names(find_files([str(tmp_path / "x.parquet")])[0], ["v[0]", "v[1]"])[:2] == ["v[0]", "v[1]"]


def test_lists_of_another_length_are_an_error(tmp_path):
    pq.write_table(pa.table({"v": [[1.0, 2.0], [1.0]]}), tmp_path / "x.parquet")
    with pytest.raises(UsageError, match=r"column 'v': row 1 has a list of 1 numbers, expected 2"):
        read(tmp_path / "x.parquet", ["v[0]", "v[1]"])


def test_short_rows_and_totals_are_read_only_where_training_had_them(tmp_path):
    path = tmp_path / "x.csv"
    rows = "".join(f"s{n},{n},1\n" for n in range(9))
    path.write_text(f"shop,n,m\n{rows}s9,9\nTotal,45,9\n")
    names = ["shop", "n", "m"]
    trained = Layout(names=tuple(names), short_rows=1, footer=1)
    table = read(path, names, trained, tuple(names))
    assert len(table) == 10 and table.column("m").to_pylist()[-1] == ""
    with pytest.raises(UsageError, match=r"the row 's9,9' has 2 cells, the first 3"):
        read(path, names, Layout(names=tuple(names)), tuple(names))


def test_an_encoding_that_only_shows_late_in_the_file_is_that_of_training(tmp_path, monkeypatch):
    from mlnb.serving.batch import csv_files

    monkeypatch.setattr(csv_files, "HEAD", 64)
    text = "city,n\n" + "".join(f"Bern,{n}\n" for n in range(50)) + "Z\u00fcrich,50\n"
    for encoding, expected in (("cp1252", "cp1252"), ("utf-8", "utf-8")):
        (tmp_path / "x.csv").write_bytes(text.encode(encoding))
        layout = Layout(encoding="cp1252", names=("city", "n"))
        assert find_files([str(tmp_path / "x.csv")], layout, ("city", "n"))[0].layout.encoding == expected
        assert read(tmp_path / "x.csv", ["city"], layout, ("city", "n")).column("city")[-1].as_py() == "Z\u00fcrich"
