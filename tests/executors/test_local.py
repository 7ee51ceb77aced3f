"""Jobs run in worker processes that are reused; a kernel that could not be started is retried once."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toys
from waiting import wait_for

from mlnb.codec import replace
from mlnb.engine.stage_jobs import Job
from mlnb.executors import local
from mlnb.executors.local import LocalExecutor
from mlnb.kernels.driver.worker_process import Worker
from mlnb.kernels.protocol.jobs import JobResult


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    local_executor = LocalExecutor(1)
    yield local_executor
    local_executor.close()


def job(folder: Path, source: str = "print(1)") -> Job:
    (folder / "in.ipynb").write_text(json.dumps(toys.notebook([("code", source)])))
    return Job(stage="stage", source=folder / "in.ipynb", target=folder / "out.ipynb", parameters={}, folder=folder)


def test_a_worker_is_reused_and_closed(executor: LocalExecutor, tmp_path: Path) -> None:
    for _ in range(2):
        assert executor.execute(job(tmp_path), lambda *where: None).state == "finished"
    (worker,) = executor._all
    for _ in range(2):
        executor.close()
    assert worker.process.poll() is not None
    assert executor.execute(job(tmp_path), lambda *where: None).state == "interrupted"


def test_a_second_interruption_finds_every_worker_marked(executor: LocalExecutor, tmp_path: Path) -> None:
    """The first is still ending the first worker then; a job that is killed must not look as if its kernel had died."""
    (tmp_path / "settings.ini").write_text("[mlnb]\nkernels = standard\n")
    for _ in range(2):
        executor.warm(tmp_path, {})
    first, second = executor._all
    states: list[bool] = []

    def end_slowly() -> None:
        executor.interrupt()
        states.append(second.interrupted)
        Worker.end(first)

    first.end = end_slowly  # type: ignore[method-assign]
    executor.interrupt()
    assert states == [True] and second.process.wait(30) == -9
    first.end = lambda: Worker.end(first)  # type: ignore[method-assign]


class Flaky:
    """A worker whose kernel fails to start `failures` times."""

    failures = 1
    alive = True

    def __init__(self, environment: Any, on_warning: Any, folder: Any) -> None:
        self.ended = False

    def execute(self, request: Any, on_cell: Any, limit: float | None) -> JobResult:
        if Flaky.failures:
            Flaky.failures -= 1
            return JobResult(state="failed", cause="RuntimeError: Kernel died before replying to kernel_info")
        on_cell(0, 1, "")
        return JobResult(state="finished")

    def end(self) -> None:
        self.ended = True


@pytest.mark.parametrize(("failures", "state", "tries"), [(0, "finished", 1), (1, "finished", 2), (2, "failed", 2)])
def test_a_kernel_that_did_not_start_is_retried_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, state: str, tries: int
) -> None:
    monkeypatch.setattr(local, "Worker", Flaky)
    monkeypatch.setattr(Flaky, "failures", failures)
    executor = LocalExecutor(1)
    assert executor.execute(job(tmp_path), lambda *where: None).state == state
    assert len(executor._all) == tries
    executor_ended = [worker.ended for worker in executor._all]  # type: ignore[attr-defined]
    assert executor_ended[: tries - 1] == [True] * (tries - 1)


def test_one_job_is_prepared_at_a_time_and_continues_at_its_cell(executor: LocalExecutor, tmp_path: Path) -> None:
    cells = [
        ("code", f"import pathlib; pathlib.Path({str(tmp_path / 'begun')!r}).touch()"),
        ("code", "print('opened')"),
    ]
    whole = job(tmp_path)
    (tmp_path / "in.ipynb").write_text(json.dumps(toys.notebook(cells)))  # type: ignore[arg-type]
    (tmp_path / "settings.ini").write_text("[mlnb]\nkernels_at_once = 1\n")
    held = replace(whole, opening_cell=1)
    assert executor.prepare(held)
    wait_for((tmp_path / "begun").exists, 60, "the first cell")
    other = replace(held, target=tmp_path / "other.ipynb")
    assert not executor.prepare(other)
    with contextlib.closing(LocalExecutor(1)) as another:  # of a run that the held job waits for
        assert another.execute(replace(other, opening_cell=None, stage_timeout=20), lambda *_: None).state == "finished"
    (tmp_path / "begun").unlink()
    executed: list[int] = []
    assert executor.execute(held, lambda cell, *_: executed.append(cell)).state == "finished"
    assert executed == [0, 1] and not (tmp_path / "begun").exists()  # the first cell was not run again
    assert "opened" in (tmp_path / "out.ipynb").read_text()
    assert executor.prepare(other)
    executor.discard(other.target)
    executor.discard(other.target)
    assert not executor._prepared and executor.execute(other, lambda *_: None).state == "finished"


def test_a_password_that_is_read_after_a_worker_has_started(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert executor.execute(job(tmp_path), lambda *where: None).state == "finished"
    monkeypatch.setenv("URL_PASSWORD_7", "swordfish")
    reads_it = "import os\nassert os.environ['URL_PASSWORD_7'] == 'swordfish'"
    assert executor.execute(job(tmp_path, reads_it), lambda *where: None).state == "finished"
    assert len(executor._all) == 1
