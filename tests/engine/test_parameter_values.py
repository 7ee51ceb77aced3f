"""Parameter values: precedence and origins, files, grids, secrets, and errors with suggestions."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import toys

from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import RequestedValues, combinations, read_pairs, read_secrets, resolve_values
from mlnb.errors import ParameterError


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, StageNotebook]:
    return read_notebooks(toys.chain(tmp_path_factory.mktemp("values")) / "nbs" / "stages")


def resolved(notebooks: Mapping[str, StageNotebook], **requested: object) -> dict[str, tuple[object, str]]:
    values = resolve_values(notebooks, ["number", "double", "note"], RequestedValues(**requested))  # type: ignore[arg-type]
    return {f"{s}.{n}": (item.value, item.origin) for s, items in values.items() for n, item in items.items()}


def test_later_sources_take_precedence(notebooks: Mapping[str, StageNotebook], tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("double: {factor: 3}\n")
    layers = {
        "profile": "quick", "profile_values": {"double.factor": "2.5"}, "files": [file],
        "pairs": [("factor", "4")], "grid": [("double.factor", "5")],
    }  # fmt: skip
    expected = [(2.5, "profile quick"), (3.0, "-f values.yaml"), (4.0, "-p"), (5.0, "-g")]
    assert resolved(notebooks)["double.factor"] == (2.0, "default")
    for count, value in zip((2, 3, 4, 5), expected, strict=True):
        assert resolved(notebooks, **dict(list(layers.items())[:count]))["double.factor"] == value


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"pairs": [("double.facto", "1")]}, "no parameter 'facto'. Did you mean 'factor'"),
        ({"pairs": [("duoble.factor", "1")]}, "no stage 'duoble'"),
        ({"pairs": [("total.factor", "1")]}, "no stage 'total'"),
        ({"pairs": [("run", "x")]}, "`run` is set by mlnb itself"),
        ({"pairs": [("number", "200")]}, "at least 0 and at most 100"),
        ({"pairs": [("number", "three")]}, "number"),
        ({"profile_values": {"factr": "1"}}, "a parameter 'factr'"),
    ],
)
def test_invalid_names_and_values_are_refused(
    notebooks: Mapping[str, StageNotebook], requested: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        resolved(notebooks, **requested)


@pytest.mark.parametrize(
    ("text", "message"),
    [("- 1", "holds a list; expected lines like"), ("a: [", "is not YAML"), (None, "No such file")],
)
def test_files_of_another_form_are_refused(
    notebooks: Mapping[str, StageNotebook], tmp_path: Path, text: str | None, message: str
) -> None:
    file = tmp_path / "values.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ParameterError, match=message):
        resolved(notebooks, files=[file])


def test_values_in_a_file_keep_their_type(notebooks: Mapping[str, StageNotebook], tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"number.number": "5"}))
    with pytest.raises(ParameterError, match="number"):
        resolved(notebooks, files=[file])


def test_secrets_are_read_from_the_environment(
    notebooks: Mapping[str, StageNotebook], monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [("note.source", "sql://${TEST_SECRET}@host")]
    with pytest.raises(ParameterError, match=r"note\.source uses \$\{TEST_SECRET\}, but the environment has no"):
        resolved(notebooks, pairs=pairs)
    monkeypatch.setenv("TEST_SECRET", "abc")
    values = resolve_values(notebooks, ["note"], RequestedValues(pairs=pairs))
    assert read_secrets(values) == {"TEST_SECRET": "abc"} and "${TEST_SECRET}" in str(values["note"]["source"].value)


def test_grids_are_combined() -> None:
    assert combinations([]) == [()]
    assert combinations(["a=1,2", "b=x"]) == [(("a", "1"), ("b", "x")), (("a", "2"), ("b", "x"))]
    for wrong in ("a", "=1", "a=", "a=,"):
        with pytest.raises(ParameterError, match="expected `name=value,value`"):
            combinations([wrong])


def test_pairs_alone_leave_out_defaults(notebooks: Mapping[str, StageNotebook]) -> None:
    values = read_pairs(notebooks, [("factor", "4")])
    assert {(stage, name): item.value for stage, items in values.items() for name, item in items.items()} == {
        ("double", "factor"): 4.0
    }
    assert read_pairs(notebooks, []) == {}
