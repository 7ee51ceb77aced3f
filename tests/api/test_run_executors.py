"""The executor of a new project starts before its plan; that of others when a stage runs."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from mlnb.api.run_executors import early_executor
from mlnb.engine.project import Project
from mlnb.engine.runs import LATEST
from mlnb.executors import local


class Recorded:
    """An executor that starts nothing."""

    calls: ClassVar[list[object]] = []

    def __init__(self, workers: int) -> None:
        self.calls[:] = [workers]

    def warm(self, folder: Path, environment: object) -> None:
        self.calls.append("warm")

    def close(self) -> None:
        self.calls.append("closed")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Project]:
    monkeypatch.setattr(local, "LocalExecutor", Recorded)
    monkeypatch.chdir(tmp_path)
    return Project.find


def test_the_executor_of_a_new_project_is_closed_when_planning_fails(project: Callable[[], Project]) -> None:
    with pytest.raises(KeyboardInterrupt), early_executor(project(), 3) as executor:
        assert executor is not None and Recorded.calls == [3, "warm"]
        raise KeyboardInterrupt
    assert Recorded.calls == [3, "warm", "closed"]


def test_nothing_starts_early_where_stages_may_be_reused_or_run_elsewhere(project: Callable[[], Project]) -> None:
    with early_executor(project().with_settings(executor="dask://host:8786"), 2) as executor:
        assert executor is None
    project().runs.mkdir()
    (project().runs / LATEST).write_text("{}")
    with early_executor(project(), 2) as executor:
        assert executor is None
