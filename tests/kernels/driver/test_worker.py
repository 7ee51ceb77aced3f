"""A worker executes notebooks one after another, reports where it is, and keeps secrets out of what it writes."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import toys
from waiting import wait_for

from kernels import projects
from mlnb.kernels.driver.worker import start_parent
from mlnb.kernels.driver.worker_process import Worker
from mlnb.kernels.protocol.jobs import JobResult, NotebookJob, ResumeJob

Cell = tuple[int, int, str]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(os.environ)
    yield worker
    worker.end()


def job(folder: Path, source: str, **options: object) -> NotebookJob:
    document = toys.notebook([("markdown", "# A title"), ("code", source), ("markdown", "## Then"), ("code", "x = 1")])
    (folder / "in.ipynb").write_text(json.dumps(document))
    paths = {"source": str(folder / "in.ipynb"), "target": str(folder / "out.ipynb"), "folder": str(folder)}
    return NotebookJob(**{"parameters": {}, **paths, **options})


def execute(worker: Worker, request: NotebookJob, limit: float | None = None) -> JobResult:
    return worker.execute(request, lambda *cell: None, limit)


def test_it_reports_each_cell_with_the_heading_above(worker: Worker, tmp_path: Path) -> None:
    cells: list[Cell] = []
    result = worker.execute(job(tmp_path, "print('hello')"), lambda *cell: cells.append(cell), None)
    assert result.state == "finished" and "hello" in (tmp_path / "out.ipynb").read_text()
    assert [(cell, heading) for cell, _, heading in cells if heading] == [(1, "A title"), (3, "Then")]
    assert (result.cell, result.heading) == (3, "Then")


def test_one_worker_executes_many_and_survives_a_failure(worker: Worker, tmp_path: Path) -> None:
    result = execute(worker, job(tmp_path, "1 / 0"))
    assert result.state == "failed" and result.cause == "ZeroDivisionError: division by zero"
    assert result.heading == "A title"
    assert execute(worker, job(tmp_path, "2")).state == "finished"


def test_variables_and_environment_are_the_job_s_own(worker: Worker, tmp_path: Path) -> None:
    source = "import os\nprint(os.environ['COLOR'], 'left' in globals())\nleft = 1"
    for color in ("red", "blue"):
        result = execute(worker, job(tmp_path, source, environment={"COLOR": color}))
        assert result.state == "finished", result
        assert f"{color} False" in (tmp_path / "out.ipynb").read_text()


def test_secrets_reach_no_output(worker: Worker, tmp_path: Path) -> None:
    result = execute(worker, job(tmp_path, "print('open sesame')\n1 / 0  # sesame", secrets={"WORD": "sesame"}))
    written = json.loads((tmp_path / "out.ipynb").read_text())
    outputs = str([cell.get("outputs") for cell in written["cells"]])
    assert result.state == "failed" and "open ${WORD}" in outputs and "sesame" not in outputs


def test_a_paused_job_waits_before_its_cell(worker: Worker, tmp_path: Path) -> None:
    assert worker.send(job(tmp_path, "open('first', 'w').close()", pause_before=3))
    wait_for((tmp_path / "first").exists, 30, "the first cell")
    assert not (tmp_path / "out.ipynb").exists() or "execution_count" in (tmp_path / "out.ipynb").read_text()
    cells: list[Cell] = []
    result = worker.execute(ResumeJob(snapshots=None), lambda *cell: cells.append(cell), None)
    assert result.state == "finished" and [cell for cell, _, _ in cells][-1] == 3


def test_resuming_what_has_ended_changes_nothing(worker: Worker, tmp_path: Path) -> None:
    assert worker.send(ResumeJob(snapshots=None))
    assert execute(worker, job(tmp_path, "2")).state == "finished"


def test_what_is_no_notebook_is_a_failure_with_a_cause(worker: Worker, tmp_path: Path) -> None:
    broken = job(tmp_path, "1")
    (tmp_path / "in.ipynb").write_text("{")
    result = execute(worker, broken)
    assert result.state == "failed" and result.cause


def test_a_cell_that_takes_too_long_is_named(worker: Worker, tmp_path: Path) -> None:
    result = execute(worker, job(tmp_path, "import time; time.sleep(60)", cell_timeout=1.0))
    assert result.state == "timeout" and "longer than 1 s" in result.cause


def test_a_kernel_that_dies_is_named(worker: Worker, tmp_path: Path) -> None:
    result = execute(worker, job(tmp_path, "import os; os._exit(4)"))
    assert result.state == "died" and "the kernel died" in result.cause
    assert execute(worker, job(tmp_path, "2")).state == "finished"


@pytest.mark.usefixtures("new_interpreters")
def test_a_fallback_to_the_standard_engine_is_reported(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\nif 'mlnb.kernels.driver.worker' in sys.orig_argv:\n"
        "    import subprocess\n    del subprocess._args_from_interpreter_flags\n"
    )
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    warnings: list[str] = []
    own = Worker({**os.environ, "PYTHONPATH": path}, warnings.append)
    for _ in range(2):
        assert execute(own, job(tmp_path, "1")).state == "finished"
    own.end()
    assert len(set(warnings)) == 1 and "_args_from_interpreter_flags" in warnings[0]


@pytest.mark.usefixtures("new_interpreters")
def test_a_worker_ends_when_its_parent_does(tmp_path: Path) -> None:
    own = Worker(os.environ)
    own.send(job(tmp_path, "open('first', 'w').close()\nimport time; time.sleep(60)"))
    wait_for((tmp_path / "first").exists, 30, "the first cell")
    assert own.process.stdin is not None
    own.process.stdin.close()
    assert own.process.wait(10) == 0
    wait_for(lambda: not psutil.Process().children(recursive=True) or own.process.poll() is not None, 30, "its end")
    own.end()


def test_a_worker_starts_the_warm_parent_before_its_first_job(project_folder: Path) -> None:
    own = Worker(os.environ, folder=project_folder)
    wait_for(lambda: projects.status(project_folder) is not None, 30, "the warm parent")
    before = projects.parent_process(project_folder)
    assert execute(own, job(project_folder, "1")).state == "finished"
    own.end()
    after = projects.status(project_folder)
    assert after is not None and (after.pid, after.served) == (before.pid, 1)
    assert len(projects.find_parents(project_folder)) == 1


@pytest.mark.parametrize("settings", ["[mlnb]\nkernels = standard\n", "[mlnb]\nkernels = fast\n", "[mlnb"])
def test_no_parent_is_started_where_notebooks_need_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    """Also with wrong settings, whose error is that of the first notebook."""

    def connect(*_: object) -> None:
        raise AssertionError("a parent was started")

    (tmp_path / "settings.ini").write_text(settings)
    monkeypatch.setattr("mlnb.kernels.driver.parent_client.connect", connect)
    monkeypatch.delenv("MLNB_KERNELS", raising=False)
    before = threading.active_count()
    start_parent(tmp_path)
    assert threading.active_count() == before
