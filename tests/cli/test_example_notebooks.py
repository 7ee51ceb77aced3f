"""The examples of `mlnb new --with-...`: each is a notebook that `mlnb check` accepts, and whose cells run."""

import json
from pathlib import Path

import pytest

from mlnb.cli.check import extension_problems
from mlnb.cli.example_notebooks import EXAMPLES
from mlnb.cli.main import main
from mlnb.engine.project import Project


def test_all_examples_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "shop", *(f"--with-{kind}" for kind in EXAMPLES)]) == 0
    output = capsys.readouterr().out
    for example in EXAMPLES.values():
        path = tmp_path / "shop" / example.file
        assert path.read_bytes() == example.notebook_bytes() == example.notebook_bytes()
        assert f"shop/{example.file} is the example of" in output
    assert list(extension_problems(Project.find(tmp_path / "shop"))) == []


@pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if kind != "model"])  # its cells are in test_example_family
def test_the_cells_of_an_example_run(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    cells = json.loads(EXAMPLES[kind].notebook_bytes())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    exec(compile(code, EXAMPLES[kind].file, "exec"), {"__name__": "example"})
    assert "checks passed" in capsys.readouterr().out
