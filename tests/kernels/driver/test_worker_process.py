"""A worker process seen from outside: it is ended for certain, with what it started, and how it died is reported."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
from waiting import wait_for

from kernels.driver.test_worker import execute, job
from mlnb.kernels.driver.worker_process import Worker, descendants


def test_a_limit_ends_the_process_and_its_kernel(tmp_path: Path) -> None:
    worker = Worker(os.environ)
    result = execute(worker, job(tmp_path, "import time; time.sleep(60)"), limit=8)
    assert result.state == "timeout" and "8 s" in result.cause and not worker.alive
    assert (result.cell, result.heading) == (1, "A title")
    assert not [p for p in psutil.process_iter(["ppid"]) if p.info["ppid"] == worker.process.pid]


def test_a_process_that_was_killed_is_reported_with_its_signal(tmp_path: Path) -> None:
    worker = Worker(os.environ)
    threading.Timer(2.0, worker.process.kill).start()
    result = execute(worker, job(tmp_path, "import time; time.sleep(60)"))
    again = execute(worker, job(tmp_path, "1"))
    worker.end()
    assert result.state == "died" and "signal SIGKILL" in result.cause
    assert again.state == "died" and "signal SIGKILL" in again.cause


def test_the_signal_is_reported_when_the_output_ends_before_the_process(tmp_path: Path) -> None:
    worker = Worker(os.environ)
    poll, worker.process.poll = worker.process.poll, lambda: None  # type: ignore[method-assign]
    threading.Timer(2.0, worker.process.kill).start()
    result = execute(worker, job(tmp_path, "import time; time.sleep(60)"))
    worker.process.poll = poll  # type: ignore[method-assign]
    worker.end()
    assert "signal SIGKILL" in result.cause


def test_an_interrupted_job_says_so(tmp_path: Path) -> None:
    worker = Worker(os.environ)
    threading.Timer(2.0, worker.interrupt).start()
    assert execute(worker, job(tmp_path, "import time; time.sleep(60)")).state == "interrupted"
    assert not worker.alive


def test_descendants_are_found_at_any_depth() -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '30']); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    (below,) = wait_for(lambda: descendants(process.pid), 30, "a descendant")
    assert below in descendants(os.getpid())
    process.communicate(b"\n")
    os.kill(below, signal.SIGKILL)
    assert descendants(process.pid) == []
