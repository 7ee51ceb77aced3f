"""Tables in Parquet files: written in groups as pandas writes them, read column by column."""

import io

import pandas
import pyarrow
import pyarrow.parquet
import pytest

from mlnb import parquet_table
from mlnb.column_files import ColumnFiles
from mlnb.parquet_table import ParquetTable, is_plain_frame, write_frame, write_texts


@pytest.mark.parametrize("sizes", [[20], [7, 7, 6], [3, 11, 1, 5], [14]])
def test_texts_are_written_as_pandas_writes_them(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr(parquet_table, "GROUP", 7)
    monkeypatch.setattr(parquet_table, "BATCH", 3)
    rows = sum(sizes)
    frame = pandas.DataFrame({"é": [f"x{n}" for n in range(rows)], "b": pandas.Series([""] * rows, dtype="str")})
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="zstd", row_group_size=7)
    starts = [sum(sizes[:position]) for position in range(len(sizes))]
    text = pyarrow.large_string()
    batches = [
        pyarrow.table({name: pyarrow.array(frame[name][at : at + size].tolist(), text) for name in frame})
        for at, size in zip(starts, sizes, strict=True)
    ]
    table = write_texts(tmp_path / "x.parquet", list(frame), rows, batches)
    assert table.is_plain and table.shape == (rows, 2) and table.to_pandas().equals(frame)
    assert len(table.path.read_bytes()) == len(buffer.getvalue()) and table.path.read_bytes() == buffer.getvalue()
    assert table["b"].equals(frame["b"]) and table.head(3).equals(frame.head(3))
    assert table.sample(4).equals(frame.iloc[::4])
    with pytest.raises(KeyError, match="c"):
        table["c"]


def test_a_rewritten_table_has_the_index_and_the_types_of_the_values(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_table, "GROUP", 2)
    frame = pandas.DataFrame({"a": ["x", "y", "z"], "b": ["1", "2", "3"]})
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=2)

    def convert(rows: pandas.DataFrame) -> pandas.DataFrame:
        masked = pandas.Series([None if cell in "xy" else cell for cell in rows["a"]], rows.index, object)
        return rows.assign(a=masked)

    table = ParquetTable(tmp_path / "x.parquet").rewrite(tmp_path / "y.parquet", convert)
    assert not (tmp_path / "x.parquet").exists() and table.is_plain
    assert table["a"].isna().tolist() == [True, True, False] and table["a"][2] == "z"
    assert table["b"].equals(frame["b"])


def test_another_index_and_other_names_are_not_plain(tmp_path):
    for number, frame in enumerate(
        [
            pandas.DataFrame({"a": [1, 2]}, index=[5, 6]),
            pandas.DataFrame({"a": [1, 2]}, index=range(1, 3)),
            pandas.DataFrame({0: [1, 2]}),
        ]
    ):
        frame.to_parquet(tmp_path / f"{number}.parquet")
        assert not ParquetTable(tmp_path / f"{number}.parquet").is_plain


def test_an_error_while_a_group_is_written_is_raised(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_table, "GROUP", 2)
    numbers = pyarrow.table({"a": pyarrow.array([1, 2, 3])})
    with pytest.raises(ValueError, match="schema"):
        write_texts(tmp_path / "x.parquet", ["a"], 3, [numbers])


def test_the_head_and_a_sample_of_no_rows_have_the_columns(tmp_path):
    table = write_texts(tmp_path / "x.parquet", ["a"], 0, [])
    assert list(table.head()) == ["a"] and not len(table.head()) and list(table.sample(3)) == ["a"]


FRAME = pandas.DataFrame(
    {
        "number": [0.5, None, 2.0, 3.0, 4.0],
        "text": pandas.Series(["a", None, "é", "", "b"], dtype="str"),
        "missing at first": pandas.Series([None, None, None, "x", None], dtype="str"),
        "truth": pandas.Series([True, None, False, None, True], dtype="boolean"),
        "date": pandas.to_datetime(["2024-01-01", None, None, "2024-01-02", None]).astype("datetime64[us]"),
    }
)


@pytest.mark.parametrize("group", [2, 5, 7])
def test_a_table_is_written_in_groups_as_pandas_writes_it(tmp_path, monkeypatch, group):
    monkeypatch.setattr(parquet_table, "GROUP", group)
    buffer, path = io.BytesIO(), tmp_path / "x.parquet"
    FRAME.to_parquet(buffer, compression="zstd", row_group_size=group)
    files = ColumnFiles(tmp_path, 0)
    mapped = pandas.DataFrame({name: files.keep(FRAME[name]) for name in FRAME}, copy=False)
    for frame in (FRAME, mapped):
        with path.open("wb") as file:
            write_frame(file, frame)
        assert path.read_bytes() == buffer.getvalue()
    table = ParquetTable(path)
    assert table.is_plain and table.nbytes >= 5 * (3 * 8 + 2 * 16)
    in_files = ColumnFiles(tmp_path, table.nbytes - 1)
    pandas.testing.assert_frame_equal(table.to_pandas(in_files), FRAME)
    assert in_files.written > 0
    in_memory = ColumnFiles(tmp_path, table.nbytes)
    pandas.testing.assert_frame_equal(table.to_pandas(in_memory), FRAME)
    assert in_memory.written == 0


def test_which_frames_are_plain():
    assert is_plain_frame(FRAME) and is_plain_frame(FRAME.iloc[:0])
    named, attributed = FRAME.rename_axis(index="n"), FRAME.copy()
    attributed.attrs["source"] = "x"
    twice = pandas.concat([FRAME, FRAME], axis=1)
    others = [FRAME.iloc[1:], FRAME.iloc[::2], FRAME.set_index("number"), FRAME.rename(columns={"text": 0})]
    assert not any(map(is_plain_frame, [named, attributed, twice, FRAME.rename_axis(columns="n"), *others]))


def test_a_column_is_as_pandas_reads_it_and_the_footer_is_read_once(tmp_path, monkeypatch):
    frame = pandas.DataFrame(
        {
            "text": ["x", None, ""],
            "mixed": pandas.Series(["a", None, "b"], dtype=object),
            "whole": [1, 2, 3],
            "part": [1.5, float("nan"), -0.0],
            "truth": pandas.array([True, None, False], dtype="boolean"),
            "day": pandas.to_datetime(["2020-01-01", None, "1999-12-31"]),
            "kind": pandas.Categorical(["m", "f", None]),
        }
    )
    frame.attrs = {"source": "x"}
    frame.to_parquet(tmp_path / "plain.parquet")
    frame.set_index("whole").to_parquet(tmp_path / "indexed.parquet")
    read, footers = pyarrow.parquet.read_metadata, []
    monkeypatch.setattr(pyarrow.parquet, "read_metadata", lambda file: footers.append(file) or read(file))
    opened = pyarrow.parquet.ParquetFile
    monkeypatch.setattr(
        pyarrow.parquet, "ParquetFile", lambda path, metadata: opened(path, metadata=metadata)
    )  # without a footer it fails
    for name in ("plain", "indexed"):
        path = tmp_path / f"{name}.parquet"
        expected = pandas.read_parquet(path)
        table = ParquetTable(path)
        for column in expected:
            pandas.testing.assert_series_equal(table[column], expected[column])
            assert table[column].attrs == expected.attrs == {"source": "x"}
        assert len(table.head(2)) == len(table.sample(2)) == 2
        pandas.testing.assert_frame_equal(table.to_pandas(), expected[table.to_pandas().columns])
    assert len(footers) == 2
