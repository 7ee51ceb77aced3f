"""Text tables fit into the terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.cli.text_tables import shorten, table

CELL = st.text(st.sampled_from("abc xyz0189.,[]"), max_size=60)


@given(st.data(), st.integers(1, 9), st.integers(0, 4), st.integers(40, 120))
def test_every_line_fits(data, columns, count, width):
    heads = [f"head {number}" for number in range(columns)]
    rows = [["first", *(data.draw(CELL) for _ in heads[1:])] for _ in range(count)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        text = table(heads, rows, right=heads[1:][-1:], optional=heads[2:3])
        lines = text.splitlines()
        assert lines[0].startswith("head 0") and [line[:5] for line in lines[1 : count + 1]] == ["first"] * count
        shown = [column for column in heads if column in lines[0]]
        if len(shown) > 2:
            assert max(map(len, lines)) <= width
        if "more column" in text:
            assert len(lines) == count + 2
        patch.setenv("COLUMNS", "100000")
        whole = table(heads, rows, right=heads[-1:])
        assert all(cell.strip() in whole for row in rows for cell in row)


def test_numbers_are_whole_or_left_out(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    heads = ["run", "interval", "data", "test"]
    rows = [["20260314-091500-train-a1b2", "[0.7504, 0.9130]", "a long name of a file.csv", "0.8367"]]
    narrow = table(heads, rows, right=("test",), optional=("interval",))
    assert "interval" not in narrow and "1 more column" in narrow and max(map(len, narrow.splitlines())) <= 40
    monkeypatch.setenv("COLUMNS", "70")
    _, line = table(heads, rows, right=("test",)).splitlines()
    assert line.split()[1:] == ["[0.7504,", "0.9130]", "a", "long…", "0.8367"] or "[0.7504, 0.9130]" in line


def test_a_shortened_text_ends_with_an_ellipsis():
    assert shorten("a  b\nc") == "a b c" and shorten("abcdef", 4) == "abc…"
