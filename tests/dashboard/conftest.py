"""A project with runs in every state, and a client of its dashboard."""

from pathlib import Path

import pytest
from dashboard_clients import DAMAGED, HOSTILE, NAMED, A, B, C, open_client

from mlnb.engine.project import Project
from mlnb.registry.registry import Registry


@pytest.fixture(scope="session")
def shop(tmp_path_factory, example) -> Project:
    """Runs: a good one, a better one, one that failed, one with hostile names, and one that is damaged."""
    project = example.make_project(tmp_path_factory.mktemp("dashboard") / "shop <b>")
    (project.root / "settings.ini").write_text("[mlnb]\napprovals = 1\n[pipeline train]\nstages = problem\n")
    project = Project.find(project.root)
    example.make_run(project, A)
    example.make_run(project, B, minute=20, score=0.91)
    example.make_run(project, C, minute=25, failed="tune")
    example.make_run(project, NAMED, minute=30, feature=HOSTILE)
    registry = Registry(project, "ann <i>")
    registry.sync()
    registry.approve("1", why=HOSTILE)
    registry.promote("1", why="the <u>first</u>")
    registry.engine.dispose()
    (project.runs / DAMAGED).mkdir()
    (project.runs / DAMAGED / "run.json").write_text("{torn")
    return project


@pytest.fixture
def client(shop):
    return open_client(shop)


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    (tmp_path / "settings.ini").write_text("[mlnb]\n[pipeline train]\nstages = problem\n")
    return Project.find(tmp_path)
