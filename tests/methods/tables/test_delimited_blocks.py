"""Delimited text in blocks: the same values, layout and errors as when a file is read at once."""

import random

import pytest

from mlnb.methods.tables import delimited_blocks
from mlnb.methods.tables.delimited import read_delimited
from mlnb.methods.tables.delimited_blocks import inspect_file, write_files

CELLS = ["1", "2,5", "-3.75", "x", "", "NA", "Zoë", "e\u0301", '"a;b"', '"two\nlines"', "2024-05-06", "  7 "]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]


def make_file(seed: int) -> bytes:
    """Return a small file with layouts, line ends and encodings that real files have."""
    draw = random.Random(seed)
    width, end = draw.randint(2, 4), draw.choice(["\n", "\r\n"])
    rows = [[draw.choice(CELLS) for _ in range(width)] for _ in range(draw.randint(3, 12))]
    if draw.random() < 0.3:
        rows[draw.randrange(len(rows))].pop()  # a short row
    header = [f"name {column}" if column or seed % 3 else "" for column in range(width)]
    lines = [";".join(row) for row in [header, *rows]]
    if draw.random() < 0.3:
        lines[3:3] = lines[:1]  # as where files were joined
    if draw.random() < 0.3:
        lines = ["A title", "", *lines]
    if draw.random() < 0.3:
        lines += ["", "Source: a register"]
    text = end.join(lines) + end * draw.randint(0, 1)
    encoding = draw.choice(ENCODINGS)
    return text.replace("e\u0301", "é").encode(encoding) if encoding == "cp1252" else text.encode(encoding)


@pytest.mark.parametrize("block", [5, 1 << 24])
def test_a_file_in_blocks_is_the_file_read_at_once(tmp_path, monkeypatch, block):
    monkeypatch.setattr(delimited_blocks, "BLOCK", block)
    source = tmp_path / "x.csv"
    for seed in range(40):
        data = make_file(seed)
        source.write_bytes(data)
        try:
            whole, layout = read_delimited(data)
        except ValueError as error:
            with pytest.raises(ValueError) as caught:
                inspect_file(source, tmp_path)
            assert str(caught.value) == str(error), (seed, data)
            continue
        file = inspect_file(source, tmp_path)
        assert file is not None and file.layout == layout and file.rows == len(whole), (seed, data)
        table = write_files([file], tmp_path / "x.parquet").to_pandas()
        assert table.equals(whole) and list(table.columns) == list(whole.columns), (seed, data)


def test_rows_that_repeat_the_header_are_no_rows(tmp_path):
    for header in (b"a;b\n", b";b\n"):  # the index of a table has no name
        data = (header + b"1;x\n2;y\n3;x\n4;y\na;y\n") * 3
        (tmp_path / "x.csv").write_bytes(data)
        file = inspect_file(tmp_path / "x.csv", tmp_path)
        table, layout = read_delimited(data)
        assert (file.rows, file.layout.headers) == (len(table), layout.headers) == (15, 2)
        assert write_files([file], tmp_path / "x.parquet").to_pandas().equals(table)


def test_an_invalid_byte_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited_blocks, "BLOCK", 4)
    source = tmp_path / "x.csv"
    for data in (b"a,b\n1,2\n\xe9,3\n", b"a,b\n1,\xc3\xa9\n\xc3\xa9,\xc3", b"\xc3\xa9,b\n\xc3\xa9\xc3,2\n"):
        source.write_bytes(data)
        with pytest.raises(ValueError) as expected:
            read_delimited(data, encoding="utf-8")
        with pytest.raises(ValueError) as caught:
            inspect_file(source, tmp_path, encoding="utf-8")
        assert str(caught.value) == str(expected.value)
