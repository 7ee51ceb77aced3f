"""Cores and folders of the user."""

import os
from pathlib import Path

import pytest

from mlnb.machine import cache_folder, config_folder, usable_cores


def test_folders_follow_the_variables_of_the_desktop_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, folder, usual in (
        ("XDG_CACHE_HOME", cache_folder, ".cache"),
        ("XDG_CONFIG_HOME", config_folder, ".config"),
    ):
        monkeypatch.delenv(variable, raising=False)
        assert folder() == Path.home() / usual / "mlnb"
        monkeypatch.setenv(variable, "/elsewhere")
        assert folder() == Path("/elsewhere/mlnb")


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
