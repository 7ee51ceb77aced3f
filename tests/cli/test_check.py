"""`mlnb check`: every problem of a project at once, each with advice."""

import json
from pathlib import Path

import pytest
from custom_families import write_family

from mlnb.cli.check import find_problems
from mlnb.cli.main import main
from mlnb.engine.project import Project

SETTINGS = "[mlnb]\n\n[pipeline train]\nstages = one two\n\n[profile smoke]\none.size = 2\n"


def save(folder: Path, name: str, reads: str, writes: str, parameters: str = "size: int = 1  # rows [1..]") -> Path:
    """Save a small stage notebook; `parameters` follow the line of `run`."""
    stage = Path(name).stem.partition("_")[2]
    opened = f'#| stage\nstage = open_stage("{stage}", run, reads={reads}, writes={writes})\nprint(size)\nstage.close()'
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": f"# {stage}\n\n> It does what it does."},
        {"cell_type": "code", "metadata": {}, "source": f"#| default_exp stages.{stage}"},
        {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": f'run: str = "draft"\n{parameters}'},
        {"cell_type": "code", "metadata": {}, "source": opened},
    ]
    for cell in cells:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    path = folder / "nbs" / "stages" / name
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "nbs" / "stages").mkdir(parents=True)
    (tmp_path / "settings.ini").write_text(SETTINGS)
    save(tmp_path, "10_one.ipynb", "[]", '{"a": "a number"}')
    save(tmp_path, "20_two.ipynb", '["a"]', '{"b": "another number"}')
    return tmp_path


def test_a_valid_project_has_no_problem(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert main(["check"]) == 0
    assert capsys.readouterr().out == "2 stage notebooks, no problems; pipelines: train (2 stages).\n"


def test_problems_end_with_2(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    save(folder, "10_one.ipynb", "[]", '{"a": "a number"}', parameters="size: int = '1'")
    save(folder, "20_two.ipynb", '["a"', '{"b": "another number"}')
    monkeypatch.chdir(folder)
    assert main(["check"]) == 2
    assert "2 problems in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "reads", "writes", "message"),
    [
        ("20_two.ipynb", '["c"]', '{"b": "a number"}', "[pipeline train] Stage 'two' reads 'c', but no stage writes"),
        ("20_two.ipynb", "[]", '{"a": "a number"}', "[pipeline train] Both 'one' and 'two' write 'a'"),
        ("10_one.ipynb", '["b"]', '{"a": "a number"}', "[pipeline train] These stages depend on each other"),
        ("30_one.ipynb", "[]", '{"c": "a number"}', "are both stage 'one'"),
    ],
)
def test_problems_between_notebooks_are_reported(
    folder: Path, name: str, reads: str, writes: str, message: str
) -> None:
    save(folder, name, reads, writes)
    problems = find_problems(Project.find(folder))
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("one.sise = 2", "[profile smoke] profile smoke: Stage 'one' has no parameter 'sise'. Did you mean 'size'?"),
        ("one.size = 0", "size is 0; expected int, at least 1"),
        ("three.size = 2", "no stage 'three'"),
    ],
)
def test_invalid_profiles_are_reported(folder: Path, line: str, message: str) -> None:
    (folder / "settings.ini").write_text(SETTINGS.replace("one.size = 2", line))
    problems = find_problems(Project.find(folder))
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("size: int = 1", "parameter 'size' has no comment"),
        ("size: int = 1  # rows\nnever: int = 2  # rows", "parameter 'never' is used in no `#| stage` cell"),
    ],
)
def test_remarks_on_valid_notebooks(folder: Path, parameters: str, message: str) -> None:
    save(folder, "10_one.ipynb", "[]", '{"a": "a number"}', parameters)
    problems = find_problems(Project.find(folder))
    assert len(problems) == 1
    assert message in problems[0]


def test_problems_of_model_families_are_found_without_running_them(folder: Path) -> None:
    write_family(folder, code="#| export\n1 / 0")
    (problem,) = find_problems(Project.find(folder))
    assert problem.startswith("nbs/models has model families, which no stage reads") and "mlnb upgrade" in problem
    save(folder, "10_one.ipynb", "[]", '{"a": "a number"}', parameters="size: int = 1  # register_families()")
    assert find_problems(Project.find(folder)) == []
    write_family(folder, code="#| export\nimport one two")
    (problem,) = find_problems(Project.find(folder))
    assert problem.startswith("nbs/models/halves.ipynb: found a syntax error")
    write_family(folder, "nbs/metrics/profit.ipynb", "#| export\n1 / 0")
    assert (
        "nbs/metrics has metrics, which no stage reads; expected `read_metrics` in the"
        in find_problems(Project.find(folder))[1]
    )
