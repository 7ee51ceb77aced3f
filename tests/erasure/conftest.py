"""A project with the rows of a person; each test gets a copy."""

import shutil
from pathlib import Path

import pytest
from erased_people import copy_project, make_project
from example_run import Example

from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.governance import project_verification


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    return make_project(example, tmp_path_factory.mktemp("erasure") / "project")


@pytest.fixture
def project(original: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("check_sources", "check_document_sources"):
        monkeypatch.setattr(project_verification, name, lambda run: ())  # it reads all of the library
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    shutil.copytree(original.project.root.parent / "bentoml", tmp_path / "bentoml")
    return copy_project(original, tmp_path / "project")
