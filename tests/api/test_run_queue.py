"""A queue of runs: few at a time, concluded as they end, and stopped by Ctrl-C."""

from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import pytest
import segmented
from in_process import InProcess

from mlnb.api import run_queue
from mlnb.api.run_queue import QueueOptions, RunQueue
from mlnb.api.run_request import GridPlan, RunRequest, plan_request
from mlnb.api.segment_requests import SharedStages, segment_request
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, list_runs
from mlnb.engine.stage_jobs import Outcome, OutcomeState
from mlnb.executors import local

QUICK = QueueOptions(command=("mlnb", "run"), workers=2, report=False)
NAMES = ("Köln/Ost", "New York", "new york", "same", "tiny")


class Planned:
    """Plans of five segments, and the number of those that are not concluded when another one is requested."""

    def __init__(self, root: Path) -> None:
        self.project = Project.find(segmented.project(root))
        self.graph = SharedStages.of(self.project, RunRequest()).graph
        self.ended: list[Run] = []
        self.open: list[int] = []

    def __iter__(self) -> Iterator[tuple[RunRequest, GridPlan]]:
        for number, name in enumerate(NAMES):
            self.open.append(number - len(self.ended))
            values: dict[str, object] = {"split.each": "store", "split.segment": name}
            request = segment_request(self.graph, RunRequest(), name, values)
            (plan,) = plan_request(self.project, request)
            yield request, plan


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Planned:
    monkeypatch.setattr(local, "LocalExecutor", lambda workers: InProcess({}, pictures=False))
    monkeypatch.setattr("os.nice", lambda increment: increment)
    monkeypatch.chdir(tmp_path)
    return Planned(tmp_path)


def test_as_many_runs_as_workers_are_open(planned: Planned) -> None:
    options = QueueOptions(command=("mlnb", "run"), workers=2, report=False, group="nightly")
    queue = RunQueue(planned.project, [], lambda run, report: planned.ended.append(run), options)
    assert queue.execute(iter(planned))
    assert sorted(run.record.segment for run in planned.ended) == sorted(NAMES)
    assert all(run.state == "finished" and run.record.group == "nightly" for run in planned.ended)
    assert max(planned.open) <= 3, "two that run, and one that has ended and is not concluded"


def test_an_interruption_ends_the_running_ones_and_starts_no_other(planned: Planned) -> None:
    def interrupt(run: Run, report: Path | None) -> None:
        planned.ended.append(run)
        if len(planned.ended) == 1:
            raise KeyboardInterrupt

    closed: list[Any] = []

    class Listener:
        def __call__(self, event: Any) -> None:
            """Take it."""

        def close(self) -> None:
            closed.append(self)

    options = QueueOptions(command=("mlnb", "run"), workers=2, report=False)
    assert not RunQueue(planned.project, [Listener()], interrupt, options).execute(iter(planned))
    runs = list_runs(planned.project)
    assert len(closed) == 1 and len(runs) < len(NAMES) and "running" not in {run.state for run in runs}
    assert {run.id for run in planned.ended} == {run.id for run in runs}


def test_runs_know_that_they_are_interrupted_before_their_stages_end(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[bool] = []

    def interrupt(executor: InProcess) -> None:
        cancelled.extend(pipeline.cancelled.is_set() for pipeline in queue._running.values())

    def press(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(InProcess, "interrupt", interrupt, raising=False)
    monkeypatch.setattr(run_queue, "wait", lambda running, return_when=None: press() if return_when else wait(running))
    queue = RunQueue(planned.project, [], lambda run, _: planned.ended.append(run), QUICK)
    assert not queue.execute(iter(planned))
    assert cancelled == [True, True]
    assert {run.state for run in planned.ended} == {"interrupted"}


def test_a_stage_that_ctrl_c_ended_first_makes_its_run_interrupted(
    planned: Planned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InProcess, "execute", lambda *_, **__: Outcome(state=OutcomeState.INTERRUPTED))
    queue = RunQueue(planned.project, [], lambda run, _: planned.ended.append(run), QUICK)
    queue.execute(iter(planned))
    assert {run.state for run in planned.ended} == {"interrupted"}
