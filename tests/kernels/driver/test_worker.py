"""A worker process executes notebooks one after another, tells where it is, and keeps secrets out of what it writes."""

import json
import os
from pathlib import Path

import psutil
import pytest
import toys

from mlnb.kernels.driver.progress_engine import hidden
from mlnb.kernels.driver.worker_process import Worker


@pytest.fixture(scope="module")
def worker() -> object:
    made = Worker(os.environ)
    yield made
    made.end()


def job(folder: Path, source: str, **more: object) -> dict[str, object]:
    document = toys.notebook([("markdown", "# A title"), ("code", source), ("markdown", "## Then"), ("code", "x = 1")])
    (folder / "in.ipynb").write_text(json.dumps(document))
    usual = {"parameters": {}, "folder": str(folder), "environment": {}, "secrets": {}, "cell_timeout": None}
    return {**usual, "source": str(folder / "in.ipynb"), "target": str(folder / "out.ipynb"), **more}


def test_it_tells_each_cell_with_the_heading_above(worker: Worker, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    answer = worker.execute(job(tmp_path, "print('hello')"), lambda *where: told.append(where), None)
    assert answer["state"] == "finished" and "hello" in (tmp_path / "out.ipynb").read_text()
    assert [(cell, heading) for cell, _, heading in told if heading] == [(1, "A title"), (3, "Then")]


def test_one_worker_does_many_and_survives_a_failure(worker: Worker, tmp_path: Path) -> None:
    answer = worker.execute(job(tmp_path, "1 / 0"), lambda *where: None, None)
    assert answer["state"] == "failed" and answer["cause"] == "ZeroDivisionError: division by zero"
    assert answer["heading"] == "A title"
    assert worker.execute(job(tmp_path, "2"), lambda *where: None, None)["state"] == "finished"


def test_variables_and_environment_are_the_job_s_own(worker: Worker, tmp_path: Path) -> None:
    source = "import os\nprint(os.environ['COLOUR'], 'left' in globals())\nleft = 1"
    for colour in ("red", "blue"):
        answer = worker.execute(job(tmp_path, source, environment={"COLOUR": colour}), lambda *where: None, None)
        assert answer["state"] == "finished", answer
        assert f"{colour} False" in (tmp_path / "out.ipynb").read_text()


def test_what_is_no_notebook_is_a_failure_with_a_cause(worker: Worker, tmp_path: Path) -> None:
    broken = job(tmp_path, "1")
    (tmp_path / "in.ipynb").write_text("{")
    answer = worker.execute(broken, lambda *where: None, None)
    assert answer["state"] == "failed" and answer["cause"]


def test_a_limit_ends_the_process_and_its_kernel(tmp_path: Path) -> None:
    own = Worker(os.environ)
    answer = own.execute(job(tmp_path, "import time; time.sleep(60)"), lambda *where: None, 8)
    assert answer["state"] == "timeout" and "8 s" in answer["cause"] and not own.alive
    assert not [p for p in psutil.process_iter(["ppid"]) if p.info["ppid"] == own.process.pid]


def test_secrets_are_replaced_wherever_text_is() -> None:
    value = {"text": ["a secret b", {"deep": "secret"}], "number": 3, "none": None}
    assert hidden(value, {"KEY": "secret"}) == {"text": ["a ${KEY} b", {"deep": "${KEY}"}], "number": 3, "none": None}
    assert hidden("x", {"EMPTY": ""}) == "x"
