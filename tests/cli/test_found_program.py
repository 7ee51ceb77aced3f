"""Printed commands have the path of a program that the shell does not find."""

import sys
from pathlib import Path

import pytest

from mlnb.cli.found_program import as_found


def test_the_path_is_relative_to_the_folder_that_the_command_is_typed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `make run`, whose environment is in .venv."""
    programs = tmp_path / "Jürgens Code" / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "mlnb").touch(mode=0o755)
    monkeypatch.chdir(tmp_path / "Jürgens Code")
    monkeypatch.setattr(sys, "argv", [".venv/bin/mlnb", "run"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert as_found("mlnb serve @champion") == ".venv/bin/mlnb serve @champion"
    assert as_found("mlnb run", tmp_path / "Jürgens Code" / "churn") == "../.venv/bin/mlnb run"
    assert as_found("mlnb run", tmp_path) == "'Jürgens Code/.venv/bin/mlnb' run"
    monkeypatch.setenv("PATH", str(programs))
    assert as_found("mlnb serve") == "mlnb serve"
