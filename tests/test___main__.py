"""`python -m mlnb` is the command."""

import runpy
import sys

import pytest

from mlnb import __version__


def test_the_package_is_a_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mlnb", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("mlnb", run_name="__main__")
    assert ended.value.code == 0 and capsys.readouterr().out.startswith(f"mlnb {__version__}")
