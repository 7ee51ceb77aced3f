"""Papermill finds the engine by its name, and imports it when it is used."""

import subprocess
import sys
from pathlib import Path

import nbformat
import toys

from kernels.corpus import compare
from kernels.projects import status


def test_the_papermill_command_knows_the_engine(project: Path) -> None:
    nbformat.write(compare.notebook([("a = 1", "parameters"), "a + 1"]), project / "command.ipynb")
    command = [*toys.PAPERMILL, "--engine", "mlnb", "-p", "a", "41", "command.ipynb", "done.ipynb"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "42" in (project / "done.ipynb").read_text() and status(project).served


def test_papermill_is_imported_without_the_engine() -> None:
    code = f"{toys.HIDE}; import papermill; print('mlnb.kernels.driver.warm_engine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
