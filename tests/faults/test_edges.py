"""Values, notebooks and streams at the edge of what is allowed: accepted, or refused by name."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toys
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import mlnb_in_process, mlnb_with_kernels

from mlnb.engine.digests import digest_code, parse_cell
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.parameter_values import RequestedValues, resolve_values
from mlnb.engine.parameters import Parameter, check_value
from mlnb.errors import IgnoredFileWarning, NotebookError, ParameterError

TEXTS = st.text(st.characters()) | st.sampled_from(["\ud800", "a\udcff"])
ITEMS = st.floats() | TEXTS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return toys.chain(tmp_path / "project")


def value_of(root: Path, text: str) -> Any:
    """Return `double.factor` with a file of values."""
    file = root / "values.yaml"
    file.write_text(text)
    notebooks = read_notebooks(root / "nbs" / "stages")
    values = resolve_values(notebooks, list(notebooks), RequestedValues(files=[file]))
    return values["double"]["factor"].value


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "+1e-3", "0.1e-2", ".1e-2", "1.e-3", "10e-4", "'1e-3'", "0.001"])
def test_a_file_spells_a_number_as_python_does(root: Path, text: str) -> None:
    assert value_of(root, f"double.factor: {text}") == pytest.approx(0.001)
    assert value_of(root, f"double:\n  factor: {text}") == pytest.approx(0.001)


@pytest.mark.parametrize("text", ["1e", "e-3", "1e-", "one", "1e-3x", "0x1p3", ".nan", ".inf", "-.inf"])
def test_what_is_no_number_is_refused(root: Path, text: str) -> None:
    with pytest.raises(ParameterError, match="factor"):
        value_of(root, f"double.factor: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "double.factor: 1\ndouble.factor: 2",
        "double:\n  factor: 1\n  factor: 2",
        '{"double": {"factor": 1, "factor": 2}}',
    ],
)
def test_a_name_that_is_given_twice_is_refused(root: Path, text: str) -> None:
    with pytest.raises(ParameterError, match="for the second time"):
        value_of(root, text)


@settings(max_examples=200)
@given(st.recursive(ITEMS, lambda parts: st.lists(parts) | st.dictionaries(TEXTS, parts)))
def test_what_is_accepted_can_be_recorded(value: Any) -> None:
    kind = {str: "str", float: "float", dict: "dict"}.get(type(value), "list[str]")
    parameter = Parameter(name="p", type=kind, default=None, description="", allowed="")
    try:
        accepted = check_value(parameter, value, "-p")
    except ParameterError:
        return
    assert json.loads(json.dumps(accepted, allow_nan=False, ensure_ascii=False).encode()) == accepted


@pytest.mark.parametrize("text", ["nan", "inf", "+inf"])
def test_the_command_line_refuses_what_json_cannot_hold(root: Path, text: str) -> None:
    assert "is not finite" in mlnb_in_process(root, "run", "-p", "factor", text, code=2)
    word = os.fsdecode(b"a\xff")
    assert "UTF-8 cannot encode" in mlnb_in_process(root, "run", "-p", "source", word, code=2)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full"])
@pytest.mark.parametrize("command", ["runs", "--help", "plan", "stages"])
def test_a_closed_stream_changes_no_file(root: Path, streams: str, command: str) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    line = f"exec {sys.executable} -m mlnb.cli.main {command} {streams}"
    done = subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode in ((0, 1, 6) if "full" in streams else (0,)), done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_stage_cells_may_use_the_shell(root: Path) -> None:
    toys.edit(root, "10_number", "#| stage\nstage.save", "#| stage\nlines = !echo 4\nfiles = %pwd\nlines?\nstage.save")
    path = root / "nbs" / "stages" / "10_number.ipynb"
    document = json.loads(path.read_text())
    cell = {"cell_type": "code", "id": "bash", "metadata": {}, "outputs": [], "execution_count": None}
    document["cells"].insert(7, cell | {"source": "%%bash\n#| stage\necho done"})
    path.write_text(json.dumps(document))
    mlnb_with_kernels(root, "run", "--no-report", "--upto", "number")
    mlnb_with_kernels(root, "kernels", "stop")
    document["cells"][7]["source"] = "#| stage\n%%bash\necho done"
    path.write_text(json.dumps(document))
    assert "has %%bash below a comment" in mlnb_in_process(root, "run", code=2)


@pytest.mark.parametrize(
    "source", ["x = !ls", "a, b = !ls", "x.y = %pwd", "!ls", "%time f()", "?f", "f?", "f??", "%%bash\nls ("]
)
def test_shell_commands_are_no_errors_and_count_as_code(source: str) -> None:
    assert parse_cell(source) is not None
    assert digest_code([source]) != digest_code([source.replace("l", "k").replace("f", "g").replace("p", "q")])


def test_python_that_looks_like_a_magic_stays_python() -> None:
    tree = parse_cell("x = (a\n% b)\ny = '''\n!ls\n'''")
    assert tree is not None and digest_code(["x = (a\n% b)"]) == digest_code(["x = (a % b)"])


@pytest.mark.parametrize("where", ["file", "cell"])
def test_a_merge_conflict_is_named(root: Path, where: str) -> None:
    path = root / "nbs" / "stages" / "10_number.ipynb"
    if where == "file":
        path.write_text('{\n<<<<<<< HEAD\n "cells": [],\n=======\n "cells": [1],\n>>>>>>> b\n}')
    else:
        toys.edit(root, "10_number", "import math", "<<<<<<< HEAD\nimport math\n=======\n>>>>>>> b")
    with pytest.raises(NotebookError, match="unresolved merge conflict"):
        read_notebooks(root / "nbs" / "stages")


@pytest.mark.parametrize("name", ["Untitled.ipynb", "Untitled3.ipynb", "10_number-Copy1.ipynb"])
def test_a_notebook_that_jupyterlab_has_named_is_left_out(root: Path, name: str) -> None:
    folder = root / "nbs" / "stages"
    (folder / name).write_text('{"cells": []}')
    with pytest.warns(IgnoredFileWarning, match="is left out"):
        assert len(read_notebooks(folder)) == 4
    assert f"mlnb plan: {folder / name} is left out" in mlnb_in_process(root, "plan")
