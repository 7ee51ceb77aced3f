"""The supervisor forks workers, replaces dead ones, and ends with all of them."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from bentoml._internal.utils import circus
from waiting import wait_for

from mlnb.serving.runtime import supervisor

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is Circus")

# Reads scenarios from standard input and runs each in a fork: importing BentoML takes most of a second.
SCENARIOS = """
import json, os, signal, sys, time
from types import SimpleNamespace
from mlnb.serving.runtime import supervisor, service_worker

class Listening:
    name = "api"
    def bind_and_listen(self): print("bound", flush=True)
    def close(self): print("closed", flush=True)
    def fileno(self): return 7

def serve(arguments, standalone_mode):
    with open(f"{scenario['folder']}/{os.getpid()}", "w") as file:
        json.dump([arguments, os.environ["GREETING"], os.getcwd(), sys.stdin.read()], file)
    if scenario["worker"] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if scenario["worker"] == "dying":
        raise SystemExit(3)
    if scenario["worker"] == "failing":
        raise ValueError("a fault of a worker")
    time.sleep(100)

for line in sys.stdin:
    scenario = json.loads(line)
    if os.fork():
        continue
    service_worker.serve_as_worker = serve
    supervisor.CHECK_SECONDS, supervisor.KILL_SECONDS = 0.3, 1
    watcher = SimpleNamespace(
        args=["-m", "module", "--fd", "$(circus.sockets.api)", "--worker-id", "$(CIRCUS.WID)", "--", "a b"],
        env={"GREETING": "hello"}, working_dir=scenario["folder"],
        numprocesses=scenario["workers"], respawn=scenario["respawn"],
    )
    output = os.open(scenario["folder"] + ".log", os.O_WRONLY | os.O_CREAT)
    for number in (1, 2):
        os.dup2(output, number)
    started = supervisor.make_supervisor([watcher], sockets=[Listening()])
    started.exit_stack.callback(print, "end", flush=True)
    code = 0
    try:
        started.start(lambda _: open(scenario["folder"] + ".pid", "w").write(str(os.getpid())))
    except SystemExit as error:
        code = error.code
    with open(scenario["folder"] + ".code", "w") as file:
        file.write(f"{code} ")
    os._exit(code)
os._exit(0)
"""


class Scenarios:
    """Runs supervisors whose workers only note what they got."""

    def __init__(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SCENARIOS], stdin=subprocess.PIPE, text=True)

    def start(self, folder: Path, worker: str = "waiting", workers: int = 1, respawn: bool = True) -> psutil.Process:
        """Return a supervisor that has started its workers."""
        folder.mkdir()
        options = {"folder": str(folder), "worker": worker, "workers": workers, "respawn": respawn}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(options) + "\n")
        self.process.stdin.flush()
        file = folder.with_name(f"{folder.name}.pid")
        wait_for(lambda: file.exists() and file.read_text(), 20, "a supervisor")
        return psutil.Process(int(file.read_text()))

    def end(self) -> None:
        """End; supervisors that still run go on."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture(scope="module")
def scenarios() -> Iterator[Scenarios]:
    running = Scenarios()
    yield running
    running.end()


def workers_of(folder: Path, count: int = 1) -> list[int]:
    """Return the processes of workers that have started, once there are `count` of them."""
    return [int(path.name) for path in wait_for(lambda: _complete(folder, count), 20, f"{count} workers")]


def _complete(folder: Path, count: int) -> list[Path]:
    files = sorted((path for path in folder.iterdir() if path.read_text()), key=lambda path: path.stat().st_mtime_ns)
    return files if len(files) >= count else []


def exit_code(folder: Path) -> int:
    """Return the exit code of a supervisor, once it has ended."""
    file = folder.with_name(f"{folder.name}.code")
    return int(wait_for(lambda: file.exists() and file.read_text(), 20, "the end"))


def log_of(folder: Path) -> str:
    """Return what a supervisor and its workers printed."""
    return folder.with_name(f"{folder.name}.log").read_text()


@linux
def test_workers_get_their_socket_number_environment_and_folder(scenarios, tmp_path):
    running = scenarios.start(tmp_path / "two", workers=2)
    processes = workers_of(tmp_path / "two", 2)
    assert {child.pid for child in running.children()} == {*processes}
    noted = [json.loads((tmp_path / "two" / str(process)).read_text()) for process in processes]
    assert sorted(arguments for arguments, *_ in noted) == [
        ["--fd", "7", "--worker-id", str(number), "--", "a b"] for number in (1, 2)
    ]
    assert all(rest == ["hello", str(tmp_path / "two"), ""] for _, *rest in noted)
    assert {os.getsid(process) for process in processes} == {*processes}  # no signal of a terminal reaches them
    os.kill(running.pid, signal.SIGINT)
    assert exit_code(tmp_path / "two") == 0
    assert not any(psutil.pid_exists(process) for process in processes)
    assert log_of(tmp_path / "two").split() == ["bound", "closed", "end"]


@linux
def test_a_dead_worker_is_replaced_and_the_others_go_on(scenarios, tmp_path):
    running = scenarios.start(tmp_path / "killed", workers=2)
    first, second = workers_of(tmp_path / "killed", 2)
    os.kill(first, signal.SIGKILL)
    *_, third = workers_of(tmp_path / "killed", 3)
    assert third not in (first, second) and {child.pid for child in running.children()} == {second, third}
    number = [json.loads((tmp_path / "killed" / str(process)).read_text())[0][3] for process in (first, third)]
    assert number[0] == number[1]
    assert "a worker ended" in log_of(tmp_path / "killed")
    running.terminate()
    assert exit_code(tmp_path / "killed") == 0


@linux
def test_a_worker_that_keeps_failing_is_not_started_all_the_time(scenarios, tmp_path):
    running = scenarios.start(tmp_path / "failing", worker="failing")
    files = [tmp_path / "failing" / str(process) for process in workers_of(tmp_path / "failing", 3)]
    times = [file.stat().st_mtime for file in files]
    assert min(late - soon for soon, late in pairwise(times)) > 0.25
    assert "ValueError: a fault of a worker" in log_of(tmp_path / "failing")
    running.terminate()
    assert exit_code(tmp_path / "failing") == 0


@linux
@pytest.mark.parametrize("workers", [1, 2])
def test_in_a_container_the_service_ends_with_its_worker(scenarios, tmp_path, workers):
    """BentoML sets `respawn` to false there: whatever runs the container starts it again."""
    running = scenarios.start(tmp_path / "container", worker="dying", workers=workers, respawn=False)
    assert exit_code(tmp_path / "container") == 3
    assert (workers_of(tmp_path / "container") == [running.pid]) == (workers == 1)  # one worker needs no supervisor


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_a_container_the_only_process_ends_with_0(scenarios, tmp_path, number):
    running = scenarios.start(tmp_path / "first", respawn=False)
    assert workers_of(tmp_path / "first") == [running.pid]
    running.send_signal(number)
    assert exit_code(tmp_path / "first") == 0
    assert log_of(tmp_path / "first").split() == ["bound", "end"]  # uvicorn closes the socket


@linux
def test_a_worker_that_does_not_end_is_killed(scenarios, tmp_path):
    running = scenarios.start(tmp_path / "stubborn", worker="stubborn")
    (worker,) = workers_of(tmp_path / "stubborn")
    wait_for(lambda: int(_status(worker, "SigIgn"), 16) >> (signal.SIGTERM - 1) & 1, 20, "an ignored signal")
    running.terminate()
    assert exit_code(tmp_path / "stubborn") == 0 and not psutil.pid_exists(worker)
    assert "workers did not end and are killed" in log_of(tmp_path / "stubborn")


@linux
def test_workers_end_with_a_killed_supervisor(scenarios, tmp_path):
    running = scenarios.start(tmp_path / "orphans", workers=2)
    processes = workers_of(tmp_path / "orphans", 2)
    running.kill()
    wait_for(lambda: not any(map(psutil.pid_exists, processes)), 20, "the end of the workers")


def _status(process: int, name: str) -> str:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name}:"))


@pytest.mark.parametrize("threaded", [False, True])
def test_the_sockets_of_circus_are_in_a_private_folder_that_is_removed(threaded: bool) -> None:
    created = supervisor.make_supervisor([], threaded=threaded)
    assert isinstance(created, circus.ThreadedArbiter) == threaded
    endpoints = [created.endpoint, created.pubsub_endpoint]
    assert all(endpoint.startswith("ipc://") for endpoint in endpoints)
    (folder,) = {Path(endpoint.removeprefix("ipc://")).parent for endpoint in endpoints}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()
    created.exit_stack.close()
    assert not folder.exists()


def test_bentoml_starts_this_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circus, "create_standalone_arbiter", None)
    supervisor.install_supervisor()
    assert circus.create_standalone_arbiter is supervisor.make_supervisor
