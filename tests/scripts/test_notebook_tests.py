"""The run of the notebooks' cells, in which a figure that cannot be drawn counts."""

import subprocess
import sys
from pathlib import Path

import nbformat
import notebook_tests
import pytest
from matplotlib.figure import Figure

CELLS = {
    "good": ["import matplotlib.pyplot as plt", "assert plt.subplots()[0].axes", "#| slow\nraise ValueError('slow')"],
    "wrong": ["assert 1 == 2, 'not equal'"],
    "unseen": ["import matplotlib.pyplot as plt", "figure = plt.figure()\nfigure.text(0, 0, '$x_{$')\nfigure"],
}


def test_a_figure_is_drawn_once_until_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = Figure()
    axes, drawn = figure.subplots(), []
    monkeypatch.setattr(type(axes), "draw", lambda *_: drawn.append(1))
    notebook_tests.draw(figure, fmt="png")
    notebook_tests.draw(figure)
    assert len(drawn) == 1
    axes.set_title("changed")
    notebook_tests.draw(figure)
    assert len(drawn) == 2 and notebook_tests.faults == []


def test_failing_cells_and_figures_are_reported_with_their_notebooks(tmp_path: Path) -> None:
    (tmp_path / "settings.ini").write_text("[DEFAULT]\nlib_name = toy\nnbs_path = nbs\ntst_flags = slow\nuser = a\n")
    (tmp_path / "nbs").mkdir()
    for name, cells in CELLS.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        nbformat.write(notebook, tmp_path / "nbs" / f"{name}.ipynb")
    command = [sys.executable, notebook_tests.__file__]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert ended.returncode == 1
    reported = {name: f"{name}.ipynb" in ended.stderr for name in CELLS}
    assert reported == {"good": False, "wrong": True, "unseen": True}, ended.stderr
    assert "not equal" in ended.stderr
    assert "ValueError in" in ended.stderr and "While Executing Cell #2" in ended.stderr
    assert "Completed" in ended.stdout
