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


def test_reads_what_papermill_misses() -> None:
    found = {parameter.name: parameter for parameter in read_parameters(CELL, "cell")}
    assert list(found) == ["run", "share", "lags", "wait", "kind", "bound", "equation", "data"]
    assert (
        found["lags"].default == [1, 24]
        and found["lags"].allowed == "1.."
        and found["lags"].description == "hours back"
    )
    assert found["wait"].description == "seconds" and found["wait"].allowed == "0.."
    assert found["bound"].optional and found["bound"].base == "float"
    assert found["equation"].default == "a=b # not a comment"
    assert isinstance(found["share"].default, float)
    assert found["data"].is_file and not found["kind"].is_file


@pytest.mark.parametrize(
    ("source", "says"),
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
def test_refuses_what_is_no_declaration(source: str, says: str) -> None:
    with pytest.raises(NotebookError, match=says):
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
    found = parse_text(parameter, text, "-p")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
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
def test_wrong_values_say_found_and_expected(name: str, text: str, says: str) -> None:
    parameter = next(p for p in read_parameters(CELL, "cell") if p.name == name)
    with pytest.raises(ParameterError) as caught:
        parse_text(parameter, text, "-p")
    assert says in str(caught.value)


def test_a_bool_is_no_number() -> None:
    parameter = next(p for p in read_parameters(CELL, "cell") if p.name == "share")
    with pytest.raises(ParameterError):
        check_value(parameter, True, "-f")
