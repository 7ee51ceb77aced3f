import pytest

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.request_bodies import MAX_BYTES, SHOWN, BadRequest, BadRows, read_rows


def test_a_list_of_objects_is_read():
    assert read_rows(b'[{"a": 1, "\xc3\xa4 b": null}, {}]') == [{"a": 1, "ä b": None}, {}]
    assert read_rows(b"[]") == []


@pytest.mark.parametrize(
    ("body", "description"),
    [
        (b"", "no JSON"),
        (b"{nope", "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b'[{"a": NaN}]', "NaN is not a JSON number"),
        (b'[{"a": -Infinity}]', "-Infinity is not a JSON number"),
        (b'[{"a": ' + b"1" * 5000 + b"}]", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"rows": []}', "an object"),
        (b'"text"', "a string"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b"7", "a number"),
        (b"[{}, 7]", "a number as row 1"),
        (b"[[1, 2]]", "a list as row 0"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(body, description):
    with pytest.raises(BadRequest) as caught:
        read_rows(body)
    assert caught.value.status == 400
    assert description in caught.value.problems[0].found
    assert "list of objects" in caught.value.refusal().error


def test_too_many_rows_are_refused():
    with pytest.raises(BadRequest, match="3 rows, expected at most 2") as caught:
        read_rows(b"[{}, {}, {}]", limit=2)
    assert caught.value.status == 413
    with pytest.raises(BadRequest, match="in parts") as caught:
        read_rows(b" " * (MAX_BYTES + 1))
    assert caught.value.status == 413


def test_bad_rows_name_the_first_problem_and_list_some():
    problems = [RowProblem(row=n, column="age", found="'x'", expected="a finite number") for n in range(50)]
    error = BadRows(problems)
    assert (error.row, error.column, error.found, error.expected) == (0, "age", "'x'", "a finite number")
    assert str(error) == "row 0, column 'age': found 'x', expected a finite number (and 49 more problems)"
    assert error.status == 422
    assert len(error.refusal().problems) == SHOWN
    assert str(BadRows(problems[:2])).endswith("(and 1 more problem)")
