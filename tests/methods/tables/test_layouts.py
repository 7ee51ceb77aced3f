"""A stated column that is a number: the position of a column in a table without a header, or its name."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.tables.layouts import count_names, find_layout


@settings(max_examples=60)
@given(st.data())
def test_a_position_makes_no_row_the_header(data: st.DataObject) -> None:
    width = data.draw(st.integers(2, 6))
    number = st.one_of(st.integers(0, 9).map(str), st.sampled_from(["1.5", "38.50", "?", ""]))
    rows = [[data.draw(number) for _ in range(width)] for _ in range(12)]
    rows = [["0.5", *row[1:]] for row in rows]  # which no row of names has
    text = "".join(",".join(row) + "\n" for row in rows)
    stated = str(data.draw(st.integers(1, width)))
    plain, expected = find_layout(text), find_layout(text, expected=[stated])
    assert (expected.header, expected.skipped, expected.names) == (plain.header, plain.skipped, plain.names)


@settings(max_examples=40)
@given(st.integers(0, 2), st.integers(2, 8), st.data())
def test_a_number_that_names_a_column_is_found(first: int, width: int, data: st.DataObject) -> None:
    names = [str(first + index) for index in range(width)]
    stated = data.draw(st.sampled_from(names))
    body = "".join(",".join(str(0.25 + row * column) for column in range(width)) + "\n" for row in range(9))
    layout = find_layout(",".join(names) + "\n" + body, expected=[stated])
    assert layout.header and layout.names == tuple(names)
    assert count_names(["id", *names], [stated]) == count_names([*names, "y"], names[:1]) == 1
