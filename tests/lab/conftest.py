"""A small project with two finished runs and one that failed; its notebooks were executed without kernels."""

import shutil
from pathlib import Path

import pytest
import toys
from in_process import mlnb_in_process
from shared import make_once, shared_folder

from mlnb.lab.panel_service import PanelService

MESSAGE = "found <b>3</b> & 4, expected 5"


def _make(root: Path) -> None:
    """Run a project twice, with another factor the second time, and once with a stage that fails."""
    toys.chain(root)
    mlnb_in_process(root, "run", "--no-report")
    mlnb_in_process(root, "run", "--no-report", "-p", "double.factor", "4")
    mlnb_in_process(root, "run", "--no-report", "--force", "total", code=3, fail={"total": MESSAGE})


@pytest.fixture(scope="session")
def lab_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, which no test may change."""
    return make_once(shared_folder(tmp_path_factory) / "lab", _make)


@pytest.fixture
def root(lab_project: Path, tmp_path: Path) -> Path:
    """A copy of the project."""
    return shutil.copytree(lab_project, tmp_path / "shop <b>", symlinks=True)


@pytest.fixture
def service(root: Path, tmp_path: Path) -> PanelService:
    """The service of the panel for the copy."""
    return PanelService(root, tmp_path / "kernels")
