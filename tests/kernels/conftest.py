"""A new project for each module of tests, whose warm parent ends with it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernels import projects
from mlnb.kernels.driver import parent_client


@pytest.fixture(scope="module")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with settings and a warm parent."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "settings.ini").write_text("[mlnb]\nkernels_at_once = 4\n")
    yield folder
    for paths in projects.find_parents(folder):
        parent_client.stop(paths, kill_kernels=True)


@pytest.fixture
def project(project_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, as the working directory."""
    monkeypatch.delenv("MLNB_KERNELS", raising=False)
    monkeypatch.chdir(project_folder)
    yield project_folder
    assert os.getcwd() == str(project_folder)
