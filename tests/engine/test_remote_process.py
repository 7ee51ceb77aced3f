"""The helper process: several requests at once, an end that is noticed, and warm kernels with a remote store."""

import os
import signal
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
import toys

from mlnb.engine.project import Project
from mlnb.engine.remote_messages import FindStages, Probe, PushStage, WaitForPushes
from mlnb.engine.remote_process import GONE, RemoteProcess
from mlnb.engine.run_records import StageResult
from mlnb.remote.helper import Helper
from mlnb.remote.pushing import Pusher


def test_requests_are_answered_until_the_process_ends(tmp_path: Path) -> None:
    settings = {"MLNB_REMOTE": (tmp_path / "share").as_uri()}
    process = RemoteProcess(toys.chain(tmp_path / "project"), settings)
    results: list[str] = []

    def request() -> None:
        results.append(process.request(FindStages(keys=("k",))).down)

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [""] * 4 and len(process.request(Probe()).checks) == 5
    assert (
        "obstore" in Path(f"/proc/{process.pid}/maps").read_text()
    )  # the client is there, and in no process that forks
    os.kill(process.pid, signal.SIGKILL)
    assert process.request(Probe()).down == GONE
    assert process.request(Probe()).down == GONE
    process.close()


def test_all_requests_that_wait_for_pushes_wait_and_one_counts_them(tmp_path: Path) -> None:
    root = toys.project(tmp_path / "project", {}, f"remote = {(tmp_path / 'share').as_uri()}")
    helper, pushing, counts = Helper(Project.find(root)), Future[bool](), list[int]()
    helper._pushing.append(pushing)
    threads = [threading.Thread(target=lambda: counts.append(helper._wait_for_pushes())) for _ in range(2)]
    for thread in threads:
        thread.start()
    threads[0].join(0.1)
    assert counts == []
    pushing.set_result(True)
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 1] and helper._wait_for_pushes() == 0


def test_a_push_that_goes_on_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = toys.project(tmp_path / "project", {}, f"remote = {(tmp_path / 'share').as_uri()}")
    helper, go_on, begun = Helper(Project.find(root)), threading.Event(), list[str]()
    monkeypatch.setattr(Pusher, "push_stage", lambda self, request: begun.append(request.key) or go_on.wait(10))
    first, other = (PushStage(key="k", recipe="r", result=result_of(run)) for run in ("run-1", "run-2"))
    for request in (first, first, other):
        helper.answer(request)
    go_on.set()
    assert helper.answer(WaitForPushes()).pushed == 2 == len(begun)
    helper.answer(first)  # which has ended: its objects may have been lost since
    assert helper.answer(WaitForPushes()).pushed == 1


def result_of(run: str) -> StageResult:
    return StageResult(outputs={}, metrics={}, notebook="", run=run, started="", finished="", seconds=0.0)


def counting_clients(root: Path) -> Path:
    """Write the project whose stages log in how many processes a client of a remote store is loaded."""
    toys.chain(root)
    for stem in ("10_number", "20_double", "25_note", "30_total"):
        toys.edit(root, stem, "stage.save(", f"{toys.COUNT_CLIENTS}\nstage.save(")
    return root


def test_warm_kernels_run_with_a_remote_store(toy_root: Path, tmp_path: Path) -> None:
    remote = {"MLNB_REMOTE": (tmp_path / "share").as_uri(), "MLNB_ACTOR": "ana"}
    counting_clients(toy_root)
    toys.mlnb(toy_root, "run", "--no-report", env=remote)
    first = toys.record(toy_root)
    toys.empty(toy_root)
    counting_clients(toy_root)
    total = first["stages"]["total"]["outputs"]["total"]["digest"]  # which is not here, and no input
    toys.edit(toy_root, "20_double", "factor *", f"bool(stage.project.store.read({total!r})) * factor *")
    text = toys.mlnb(toy_root, "run", "--no-report", env=remote)  # the parent is warm, and the kernels are forked
    assert f"reused, run {first['id']} by ana" in text and toys.states(toy_root)["double"] == "finished"
    assert set(toys.states(toy_root).values()) == {"finished", "reused"}
    for record in (first, toys.record(toy_root)):
        assert [stage["metrics"]["clients"] for stage in record["stages"].values()] == [0.0] * 4
