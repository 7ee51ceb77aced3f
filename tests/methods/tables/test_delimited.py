"""Delimited text: layouts that real files have, and what is wrong with those that cannot be read."""

import pyarrow
import pytest

from mlnb.codec import to_json
from mlnb.methods.tables.delimited import cut_cells, find_headers, read_delimited
from mlnb.methods.tables.layouts import find_layout
from mlnb.methods.tables.source_findings import source_findings


@pytest.mark.parametrize(
    ("data", "columns", "rows"),
    [
        (b"a,b\r\n1,2\r\n\r\n3,4", ["a", "b"], [["1", "2"], ["3", "4"]]),
        ("a,b\n1,2\n".encode("utf-16-be"), ["a", "b"], [["1", "2"]]),
        (b"1.5  2.5 'a'\n 3.5\t4.5 \"b c\"\n", None, [["1.5", "2.5", "'a'"], ["3.5", "4.5", "b c"]]),
        (b"Report, of 2024\n\nsum;y\n1,5;a\n2,5;b\n3,5;a\n", ["sum", "y"], [["1,5", "a"], ["2,5", "b"], ["3,5", "a"]]),
        (b"Report;;\n\nsum;y;z\n1,5;a;1\n2,5;b;2\n", ["sum", "y", "z"], [["1,5", "a", "1"], ["2,5", "b", "2"]]),
        (b"sep=;\na;b\n1;2\n3;4\n5;6\n", ["a", "b"], [["1", "2"], ["3", "4"], ["5", "6"]]),
        (b"sep=,\n# by hand\na,b\n1,2\n3,4\n", ["a", "b"], [["1", "2"], ["3", "4"]]),
        (b"# made by hand\na,b\n1,2\n3,4\n", ["a", "b"], [["1", "2"], ["3", "4"]]),
        (b"#a,b\n1,2\n3,4\n", ["#a", "b"], [["1", "2"], ["3", "4"]]),
        (b"default,age\n0,48,\n1,22,\n1,23,\n", ["default", "age"], [["0", "48"], ["1", "22"], ["1", "23"]]),
        (b'"height\n(cm)",n\n1.5,2\n3.5,4\n', ["height\n(cm)", "n"], [["1.5", "2"], ["3.5", "4"]]),
        (b"a,b\n(m),(kg)\n1,2\n3,4\n5,6\n", ["a", "b"], [["1", "2"], ["3", "4"], ["5", "6"]]),
        (
            b"2023,,2024,\nlow,high,low,high\n1,2,3,4\n5,6,7,8\n9,1,2,3\n",
            ["2023 low", "2023 high", "2024 low", "2024 high"],
            [["1", "2", "3", "4"], ["5", "6", "7", "8"], ["9", "1", "2", "3"]],
        ),
        (b"a,b,c\n1,2,3\n4,5\n6,7,8\n", ["a", "b", "c"], [["1", "2", "3"], ["4", "5", ""], ["6", "7", "8"]]),
        (b"a,b\n1,2\n# a note, in the middle, of it\n3,4,\n", ["a", "b"], [["1", "2"], ["3", "4"]]),
        (b"#a,b,c\n#1,2,3\n#4,5\n", ["#a", "b", "c"], [["#1", "2", "3"], ["#4", "5", ""]]),
        (b"a,b\r1,2\r3,4\r", ["a", "b"], [["1", "2"], ["3", "4"]]),
        (b"a|b|c\n:-:|--:|---\n1|2|x\n3|4|y\n", ["a", "b", "c"], [["1", "2", "x"], ["3", "4", "y"]]),
        ("a,b\n1,é\n".encode("utf-32"), ["a", "b"], [["1", "é"]]),
        (b"one two\nthree four\n", None, None),
    ],
)
def test_layouts_of_real_files(data, columns, rows):
    table, _ = read_delimited(data)
    if rows is None:
        assert table.shape[1] == 1, "words of a sentence are not cells"
        return
    assert columns is None or table.columns.tolist() == columns
    assert table.to_numpy().tolist() == rows


def test_lines_below_the_table_are_left_out_and_counted():
    rows = b"".join(b"item %d;%d\n" % (n, n) for n in range(9))
    table, layout = read_delimited(b"name;n\n" + rows + b"Total;36\n\nSource: a register\n")
    assert len(table) == 9 and layout.footer == 2
    table, layout = read_delimited(b"name;n\ntotal;4\n" + rows + b"total;36\n")
    assert len(table) == 11 and layout.footer == 0, "a category that occurs twice"


def test_options_are_followed():
    assert read_delimited(b"a,b\n1,2\n", header="no")[0].shape == (2, 2)
    assert read_delimited(b"one two\nthree four\n", "blanks", "no")[0].shape == (2, 2)
    numbered = b"1990,1991\n5,6\n7,8\n"
    assert read_delimited(numbered, expected=["1991"])[0].columns.tolist() == ["1990", "1991"]
    late = b"x,y\nz,1\n1990,1991\n5,6\n7,8\n"
    assert find_layout(late.decode(), expected=["1990", "1991"]).skipped == 2


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (b"", {}, "is empty"),
        (b"\xef\xbb\xbf \n\n", {}, "is empty"),
        (b"a,b,c\n", {}, "and no rows"),
        (b"title\na,b\n1,2\n3,4,5\n5,6\n7,8\n9,10\n1,2\n", {}, "line 4 has 3 cells, the first 2"),
        (b"a,b,a\n1,2,3\n", {}, r"2 columns are named 'a' \(columns 1, 3\)"),
        (b"a;b\n1;2\n", {"separator": ","}, "look cut by ';'"),
        (b"a,b\n1,2\n3,4,5\n5,6\n7,8\n9,10\n", {}, "line 3 has 3 cells, the first 2"),
        (b'a,b\n1,x\n2,"x\n3,x\n', {}, "line 3 opens a quotation mark that is never closed"),
        (b'a,b,c\n1,x,2\n2,x,"y\n3,x\n', {}, "line 3 opens a quotation mark"),
        (b'a,b\n1, "x, y"\n2, "x, y"\n', {}, "look like one in quotes"),
        (b"a,b\n1,'x,y'\n2,'x,y'\n", {}, "look like one in quotes"),
        (b'a,b\n1,"a \\"q\\", y"\n2,"a \\"q\\", y"\n', {}, "look like one in quotes"),
        (b"a,b\n1,2\n", {"separator": "comma"}, "unknown separator"),
        (b"a,b\n1,2\n", {"header": "maybe"}, "unknown header"),
    ],
)
def test_what_cannot_be_read_is_an_error(data, options, message):
    with pytest.raises(ValueError, match=message):
        read_delimited(data, **options)


def test_names_and_cells_have_composed_letters():
    table, _ = read_delimited("cafe\u0301,n\nre\u0301,1\n".encode())
    assert table.columns[0] == "caf\u00e9" and table.iloc[0, 0] == "r\u00e9"


def test_cells_of_lines_are_text_under_their_names():
    table = cut_cells(b'1;"a;b"\n;x\n', ";", ["n", "t"], wanted=["t", "n"])
    assert table.to_pydict() == {"t": ["a;b", "x"], "n": ["1", ""]}
    with pytest.raises(pyarrow.ArrowInvalid):
        cut_cells(b"1;2;3\n", ";", ["n", "t"])


def test_rows_that_repeat_the_header_are_left_out_and_counted():
    joined = b"age, kind ,y\n1,a,no\n2,b,yes\nage, kind ,y\n3,age,no\n"
    table, layout = read_delimited(joined)
    assert table["age"].tolist() == ["1", "2", "3"] and layout.headers == 1
    (finding,) = source_findings({"layout": to_json(layout)})
    assert (finding.severity, finding.rows) == ("warning", 1) and "repeat the header" in finding.message
    assert read_delimited(b"a\nb\na\nb\n", header="yes")[1].headers == 0  # of one column it may be a value


def test_rows_that_repeat_the_header_are_found_by_some_columns() -> None:
    _, layout = read_delimited(b"a,b\n1,2\n3,4\na,b\n5,6\n")
    cells = pyarrow.table({"a": ["1", " a ", "a", "2"], "b": ["x", "b", "y", "z"]})
    assert layout.headers == 1 and find_headers(cells, layout).tolist() == [False, True, False, False]
    assert find_headers(cells.select(["a"]), layout).tolist() == [False, True, True, False]
