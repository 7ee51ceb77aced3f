"""The parameters cell is read without running it, and every value is checked against what it declares."""

import pytest

from mlnb.engine.parameters import check_value, parse_text, read_parameters
from mlnb.errors import NotebookError, ParameterError

CELL = """
run: str = "draft"  # id of the run, or draft
share: float = 1  # share of rows held out [0.05..1]
lags: list[int] = [
    1,
    24,
]  # hours back [1..]
wait: float = (
    2.0  # seconds [0..]
)
kind: str = "auto"  # how rows are split [auto|random|time]
bound: float | None = None  # what the metric must reach
equation: str = "a=b # not a comment"  # a value with = and # in it
data: str = "x.csv"  # the data set [file]
"""


def test_annotations_comments_and_equal_signs_are_parsed() -> None:
    parameters = {parameter.name: parameter for parameter in read_parameters(CELL, "cell")}
    assert list(parameters) == ["run", "share", "lags", "wait", "kind", "bound", "equation", "data"]
    assert (
        parameters["lags"].default == [1, 24]
        and parameters["lags"].allowed == "1.."
        and parameters["lags"].description == "hours back"
    )
    assert parameters["wait"].description == "seconds" and parameters["wait"].allowed == "0.."
    assert parameters["bound"].optional and parameters["bound"].base == "float"
    assert parameters["equation"].default == "a=b # not a comment"
    assert isinstance(parameters["share"].default, float)
    assert parameters["data"].is_file and not parameters["kind"].is_file


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x: int = 1\ny: int = 2", "must start with"),
        ('run: str = "draft"', "magic %run"),
        ('run: str = "draft"\nx = 1', "line 2"),
        ('run: str = "draft"\nx: int = 1 + 1', "not a literal"),
        ('run: str = "draft"\nx: set = 1', "expected one of"),
        ('run: str = "draft"\nx: int = 1\nx: int = 2', "declared twice"),
        ('run: str = "draft"\nx: int = 9  # a number [0..5]', "at most 5"),
        ('run: str = "draft"\nx: int = 9  # a number [low..5]', "low..high"),
        ('run: str = "draft"\nx: int = "', "not Python"),
        ('run: str = "draft"\nimport os', "expected `name: type"),
    ],
)
def test_a_line_that_is_no_declaration_is_refused(source: str, message: str) -> None:
    with pytest.raises(NotebookError, match=message):
        read_parameters(source, "40_x.ipynb")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("share", "0.5", 0.5),
        ("share", "1", 1.0),
        ("lags", "1,2,168", [1, 2, 168]),
        ("lags", "[3]", [3]),
        ("bound", "none", None),
        ("bound", "0.8", 0.8),
        ("kind", "time", "time"),
        ("equation", "none", "none"),
    ],
)
def test_text_becomes_the_declared_type(name: str, text: str, value: object) -> None:
    parameter = next(p for p in read_parameters(CELL, "cell") if p.name == name)
    parsed = parse_text(parameter, text, "-p")
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("share", "0.01", "at least 0.05"),
        ("share", "nan", "expected float"),
        ("share", "half", "'half'"),
        ("lags", "1,x", "expected list"),
        ("lags", "0", "at least 1"),
        ("kind", "tim", "Did you mean 'time'"),
        ("bound", "much", "float | None"),
    ],
)
def test_an_invalid_value_is_refused_with_found_and_expected(name: str, text: str, message: str) -> None:
    parameter = next(p for p in read_parameters(CELL, "cell") if p.name == name)
    with pytest.raises(ParameterError) as caught:
        parse_text(parameter, text, "-p")
    assert message in str(caught.value)


def test_a_bool_is_not_accepted_as_a_number() -> None:
    parameter = next(p for p in read_parameters(CELL, "cell") if p.name == "share")
    with pytest.raises(ParameterError):
        check_value(parameter, True, "-f")
