"""Failures during a run: a clear message, the documented exit code, and no finished stage is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import toys
from in_process import mlnb_with_kernels
from waiting import wait_for

from mlnb.engine.project import Project


def two(tmp_path: Path, body: str, settings: str = "", reads: str = "first") -> Path:
    """A project whose stage `second` does `body` after a stage that is fine."""
    return toys.project(
        tmp_path,
        {
            "10_first": toys.stage("first", 'stage.save("first", 1)', writes={"first": "one"}),
            "20_second": toys.stage(
                "second", body, [reads], {"second": "two"}, "seconds: float = 0.0  # to wait [0..]"
            ),
        },
        settings,
    )


@pytest.mark.parametrize(
    ("body", "settings", "code", "message"),
    [
        ("1 / 0", "", 3, "ZeroDivisionError: division by zero"),
        ("import os; os._exit(3)", "", 3, "the kernel died"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "", 3, "the kernel died"),
        ("import time; time.sleep(60)", "cell_timeout = 1", 5, "longer than 1 s"),
        ("import time; time.sleep(60)", "stage_timeout = 6", 5, "stage took longer than 6 s"),
        ("stage.load('frist')", "", 3, "Did you mean 'first'"),
        ("stage.save('other', 1)", "", 3, "add it there with a description"),
        ("pass", "", 3, "declares 'second' in `writes` and did not save it"),
        ("stage.require(False, 'accuracy 0.5, required 0.8')", "", 4, "accuracy 0.5, required 0.8"),
        ("seconds = 5.0\nstage.save('second', 1)\nraise SystemExit(0)", "", 3, "second"),
        ("class GateFailed(Exception):\n    pass\nraise GateFailed('of the user')", "", 3, "of the user"),
        ("class StoreFull(OSError):\n    pass\nraise StoreFull('of the user')", "", 3, "of the user"),
        ("import mlnb.errors\nclass Mine(mlnb.errors.GateFailed):\n    pass\nraise Mine('derived')", "", 4, "derived"),
    ],
    ids=[
        "raises",
        "exits",
        "killed",
        "slow cell",
        "slow stage",
        "undeclared",
        "unpromised",
        "unkept",
        "gate",
        "quits",
        "another GateFailed",
        "another StoreFull",
        "derived",
    ],
)
def test_a_failed_stage_is_reported_with_its_exit_code(
    toy_root: Path, body: str, settings: str, code: int, message: str
) -> None:
    root = two(toy_root, body, settings)
    text = mlnb_with_kernels(root, "run", "--no-report", code=code)
    assert message in text and "stage second" in text and "kept      first" in text
    record = toys.record(root)
    assert record["state"] == "failed" and toys.states(root) == {"first": "finished", "second": "failed"}
    (root / "settings.ini").write_text((root / "settings.ini").read_text().replace(settings, ""))
    toys.edit(root, "20_second", body, "stage.save('second', stage.load('first') + 1)")
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root) == {"first": "reused", "second": "finished"}


def test_the_failed_notebook_shows_papermills_banner(toy_root: Path) -> None:
    root = two(toy_root, "raise ValueError('too few rows')")
    text = mlnb_with_kernels(root, "run", "--no-report", code=3)
    path = next(line.split()[1] for line in text.splitlines() if line.startswith("  notebook"))
    assert "papermill-error-cell-tag" in (root / path).read_text() and "too few rows" in (root / path).read_text()
    assert "(Work)" in text, "the heading above the failing cell is named"


def test_parameters_assigned_again_in_the_notebook_are_reported(toy_root: Path) -> None:
    root = two(toy_root, "stage.save('second', 1)")
    toys.edit(root, "20_second", "#| export\nimport math", "seconds = 5.0")
    assert "the run planned 0.0" in mlnb_with_kernels(root, "run", "--no-report", code=3)


def test_damaged_artifacts_are_recomputed(toy_root: Path) -> None:
    root = toys.chain(toy_root)
    mlnb_with_kernels(root, "run", "--no-report")
    record = toys.record(root)
    store = Project.find(root).store
    # noticed by the plan: bytes changed, and with them the time
    path = store.path(record["stages"]["double"]["outputs"]["double"]["digest"])
    path.chmod(0o644)
    path.write_bytes(b"7.0")
    mlnb_with_kernels(root, "run", "--no-report")
    assert toys.states(root)["double"] == "finished" and path.read_bytes() == b"6.0"
    # not to be seen from outside: same size, same time; met when it is read
    path = store.path(record["stages"]["number"]["outputs"]["number"]["digest"])
    os.utime(path, (1, 1))  # the digest of a file that has not just changed is cached
    mlnb_with_kernels(root, "plan")
    stat = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"9")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    mlnb_with_kernels(root, "run", "--no-report", "-p", "factor", "3")
    assert path.read_bytes() == b"3"
    states = toys.states(root)
    assert states["number"] == "finished" and states["double"] == "finished"


def test_a_full_disk_is_reported_and_finished_stages_are_kept(toy_root: Path) -> None:
    body = (
        "import errno, os\n"
        "def full(handle): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "os.fsync = full\n"
        "stage.save('second', 'x' * 100)"
    )
    root = two(toy_root, body)
    text = mlnb_with_kernels(root, "run", "--no-report", code=6)
    assert "No space left while writing" in text and "mlnb clean" in text
    assert toys.states(root) == {"first": "finished", "second": "failed"}


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_file_system_is_reported(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(small)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mount is not allowed here")
    try:
        root = two(small, "import os\nstage.save('second', os.urandom(2_000_000).hex())")
        text = mlnb_with_kernels(root, "run", "--no-report", code=None)
        assert "No space left" in text and toys.states(root)["first"] == "finished"
        assert json.loads((next((small / "runs").glob("*-*")) / "run.json").read_text())["stages"]
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_cleanly_and_prints_the_next_command(tmp_path: Path, number: signal.Signals) -> None:
    begun = tmp_path / "begun"
    cell = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(seconds)\nstage.save('second', 1)"
    root = two(tmp_path, cell)
    command = [sys.executable, "-m", "mlnb.cli.main", "run", "--no-report", "-p", "seconds", "60"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(begun.exists, 40, "the cell of the second stage")
        assert toys.states(root)["second"] == "running"
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted in second" in errors and "continue  mlnb run" in errors and "kept      first" in errors
    assert toys.record(root)["state"] == "interrupted"
    gone, alive = psutil.wait_procs(children, timeout=5)
    assert not alive, f"left behind: {alive}"
    assert gone and not toys.kernels(root)


def test_kill_9_at_any_time_loses_no_finished_stage(tmp_path: Path) -> None:
    root = toys.chain(tmp_path)
    command = [sys.executable, "-m", "mlnb.cli.main", "run", "--no-report"]
    moments = random.Random(20).sample([0.1, 0.4, 0.8, 1.5, 2.2, 3.0, 3.8, 4.5], 8)
    finished: set[str] = set()
    for moment in moments:
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)  # each kill meets another step of the run
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive, f"left behind after {moment} s: {alive}"
        for path in (root / "runs").glob("*-*/run.json"):
            stages = json.loads(path.read_text())["stages"]
            done = {name for name, stage in stages.items() if stage["state"] in ("finished", "reused")}
            finished |= done
        steps = json.loads(mlnb_with_kernels(root, "plan", "--json"))["stages"]
        reusable = {step["stage"] for step in steps if step["action"] == "reuse"}
        assert finished <= reusable, f"{finished - reusable} was finished and would run again"
    mlnb_with_kernels(root, "run", "--no-report", code=None)
    assert set(toys.states(root).values()) <= {"finished", "reused"}
    from mlnb.engine import runs

    assert runs.open_run(Project.find(root)).load("total") == {"total": 7.0, "note": "number 3"}
    assert "killed" in {run.state for run in runs.list_runs(Project.find(root))} or len(finished) == 4


def test_two_runs_at_once_share_the_work(toy_root: Path) -> None:
    root = two(toy_root, "import time\ntime.sleep(2)\nstage.save('second', 1)")
    command = [sys.executable, "-m", "mlnb.cli.main", "run", "--no-report"]
    both = [subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, errors = process.communicate(timeout=90)
        assert process.returncode == 0, (out + errors).decode()
    states = [toys.states(root, which)["second"] for which in (-1, -2)]
    assert sorted(states) == ["finished", "reused"]
