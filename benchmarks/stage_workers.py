"""Dask workers on two machines: equal digests, overhead of a stage, and workers that are killed, cut off or stopped.

PYTHONPATH=tests python benchmarks/stage_workers.py [--base CHECKOUT] [--only PART ...]

Each machine is a network namespace with folders in memory that no other machine sees, which needs root on Linux;
they share an S3 server and PostgreSQL. Without root, all workers use the loopback interface and separate folders,
and no link is cut. `--base` is another checkout of mlnb, to compare the command without a remote store with. Ends
with 1 when a digest differs, a trial is lost or doubled, or a limit is exceeded though the machine is idle.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import optuna
import toys
from peers.limits import is_busy, judge
from remote_store import without_remote
from s3_server import S3Server, client_variables, run_server
from worker_machines import BRIDGE, MLNB, Machine, bridge, database, wait

ROOT = Path(__file__).resolve().parent.parent
STAGES = 6  # of the project that measures the overhead
SLEEP = 6.0  # seconds of the stage whose worker is lost
TRIALS = 8
ROUNDS = 5
LIMITS = {
    "overhead of a stage": 1.0,
    "kill in tune, beyond": 10.0,
    "link down, again after": 45.0,
    "stopped, again after": 45.0,
    "no remote, ms": 5.0,
}
SEARCH = ["--upto", "tune", "--profile", "smoke", "-p", "tune.trials", str(TRIALS), "-p", "tune.seconds", "0"]


def command(root: Path, *arguments: str, env: Mapping[str, str] | None = None, path: Path = ROOT) -> float:
    """Return the wall-clock seconds of a command; raises with its output when it fails."""
    variables = {**os.environ, "PYTHONPATH": str(path), **(env or {})}
    begin = time.perf_counter()
    done = subprocess.run([*MLNB, *arguments], cwd=root, env=variables, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return time.perf_counter() - begin


def outputs(root: Path) -> dict[str, str]:
    """Return the digest of each artifact of the latest run of a project."""
    stages = toys.record(root)["stages"].values()
    return {name: output["digest"] for stage in stages for name, output in stage["outputs"].items()}


def row(root: Path, count: int) -> Path:
    """Write a project of stages in a row; return its folder."""
    stages = {}
    for number in range(count):
        reads = [f"out{number - 1}"] if number else []
        value = f'stage.load("{reads[0]}") + 1' if reads else "start"
        body, parameters = f'stage.save("out{number}", {value})', "start: int = 0  # a number [0..]"
        writes = {f"out{number}": "a number"}
        stages[f"{number + 10}_s{number}"] = toys.stage(f"s{number}", body, reads, writes, "" if number else parameters)
    return toys.project(root, stages)


def overhead(folder: Path, machines: list[Machine], remote: Mapping[str, str]) -> dict[str, float]:
    """Return the seconds that a stage takes longer on a warm worker than on this machine, both warm."""
    here, there = row(folder / "here", STAGES), row(folder / "there", STAGES)
    seconds: dict[str, list[float]] = {"here": [], "there": []}
    for number in range(ROUNDS + 1):
        for name, root, env in (("here", here, {}), ("there", there, remote)):
            command(root, "run", "--no-report", "-p", "s0.start", str(number), env=env)
            stages = toys.record(root)["stages"].values()
            ends = sorted(stage["finished"] for stage in stages)
            if number:  # the first round is cold, and so is the first stage of a plan
                seconds[name].append(between(ends[0], ends[-1]) / (STAGES - 1))
    assert outputs(here) == outputs(there), "digests differ"
    print(f"a stage on this machine {statistics.median(seconds['here']):.2f} s, on a worker", end=" ")
    print(f"{statistics.median(seconds['there']):.2f} s")
    return {"overhead of a stage": statistics.median(seconds["there"]) - statistics.median(seconds["here"])}


def between(first: str, last: str) -> float:
    """Return the seconds between two times of records."""
    from datetime import datetime

    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def search(folder: Path, machines: list[Machine], remote: Mapping[str, str], storage: str) -> dict[str, float]:
    """Return the seconds that a search takes longer when a worker is killed; digests are those of a local run."""
    data = ["--data", "sklearn:breast_cancer"]
    roots = {name: folder / name for name in ("alone", "undisturbed", "killed")}
    for root in roots.values():
        root.mkdir()
    env = {**os.environ, "MLNB_EXECUTOR": "local"}
    command(roots["alone"], "run", "--no-report", *data, *SEARCH, env=env)
    shared = [*SEARCH, "-p", "tune.storage", storage]
    undisturbed = stage_seconds(roots["undisturbed"], [*data, *shared], remote, lambda done: None)
    killed: list[int] = []
    opened = optuna.storages.RDBStorage(storage)
    for study in optuna.get_all_study_names(opened):  # or the next search would find all trials finished
        optuna.delete_study(study_name=study, storage=opened)

    def kill(done: float) -> None:
        if done >= 1 and not killed:
            killed.append(1)
            machines[0].send(signal.SIGKILL)

    again = ["-p", "tune.workers", "1"]  # another stage key; the result does not depend on it
    killed_seconds = stage_seconds(roots["killed"], [*data, *shared, *again], remote, kill)
    expected = outputs(roots["alone"])
    for name in ("undisturbed", "killed"):
        wrong = [artifact for artifact, digest in outputs(roots[name]).items() if digest != expected[artifact]]
        assert not wrong, f"{name}: other digests of {', '.join(wrong)}"
    assert killed, "no worker was killed"
    print(f"tune on two machines {undisturbed:.1f} s, one of them killed {killed_seconds:.1f} s; digests as alone")
    machines[0].join()
    return {"kill in tune, beyond": killed_seconds - undisturbed}


def stage_seconds(root: Path, arguments: list[str], env: Mapping[str, str], on_done: Callable[[float], None]) -> float:
    """Return the seconds of the stage tune of a run; `on_done` gets the number of finished trials."""
    variables = {**os.environ, **env, "PYTHONPATH": str(ROOT)}
    words = [*MLNB, "run", "--no-report", "--json", *arguments]
    with subprocess.Popen(words, cwd=root, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begin = end = 0.0
        for line in process.stdout:
            event = json.loads(line)
            if event.get("stage") == "tune":
                end = time.perf_counter()
                begin = end if event["event"] == "stage_started" else begin
                if event["event"] == "stage_progress":
                    on_done(event["done"])
    assert process.returncode == 0, f"exit code {process.returncode}"
    return end - begin


def lost(
    folder: Path, name: str, machines: list[Machine], remote: Mapping[str, str], server: S3Server, cut: bool
) -> float:
    """Return the seconds after which the stage of a worker that is cut off or stopped begins on another machine.

    The worker continues at the end; the result of its stage is not replaced.
    """
    body = f'import time\ntime.sleep({SLEEP})\nstage.save("out", [{name!r}, time.time()])'
    root = toys.project(folder / name, {"10_slow": toys.stage("slow", body, [], {"out": "when"})})
    machines[1].leave()
    variables = {**os.environ, **remote, "PYTHONPATH": str(ROOT)}
    words = [*MLNB, "run", "--no-report", "--json"]
    with subprocess.Popen(words, cwd=root, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begin, ended = 0.0, False
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "cell_started" and event["heading"] == "Work" and not begin:
                if cut:
                    machines[0].cut(True)
                else:
                    machines[0].send(signal.SIGSTOP)
                begin = time.perf_counter()
                machines[1].join()
            ended |= event["event"] == "stage_finished"
    seconds = time.perf_counter() - begin - SLEEP
    assert process.returncode == 0 and ended, f"exit code {process.returncode}"
    entries = {key: data for key, data in server.buckets["b"].items() if "/stages/" in key}
    before = machines[0].joined()
    if cut:
        machines[0].cut(False)
    else:
        machines[0].send(signal.SIGCONT)
    wait(lambda: machines[0].joined() > before, f"{machines[0].name} to join again")
    time.sleep(SLEEP)  # in which its notebook would end, too
    changed = [key for key, data in entries.items() if server.buckets["b"][key] != data]
    assert not changed, f"a late worker has replaced {changed}"
    print(f"{name}: again after {seconds:.1f} s; the late result is not used, and the worker has joined again")
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="another checkout, to compare the command without a remote with")
    parser.add_argument("--only", nargs="+", default=["overhead", "search", "link", "stop"], help="parts to measure")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # what it has started is ended
    busy = is_busy()
    spaces = hasattr(os, "geteuid") and os.geteuid() == 0
    figures: dict[str, float] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        host = stack.enter_context(bridge(spaces))
        server = stack.enter_context(run_server(host))
        server.buckets["b"] = {}
        os.environ.update(client_variables(server), PYTHONPATH=str(ROOT), MLNB_ACTOR="ana", MLNB_KERNELS_IDLE="120")
        if args.base:
            figures |= without_remote(folder, args.base)
        with socket.create_server((host, 0)) as free:
            url = f"dask://{host}:{free.getsockname()[1]}"
        scheduler = subprocess.Popen([*MLNB, "worker", "--scheduler", url], stdout=subprocess.DEVNULL)
        stack.callback(scheduler.wait)
        stack.callback(scheduler.terminate)
        machines = [Machine(f"{BRIDGE}-{n}", n, folder, url, spaces) for n in (1, 2)]
        for machine in machines:
            stack.callback(machine.end)
        time.sleep(3)
        for machine in machines:
            machine.join()
        remote = {"MLNB_REMOTE": "s3://b/team", "MLNB_EXECUTOR": url}
        if "overhead" in args.only:
            figures |= overhead(folder, machines, remote)
        if "search" in args.only:
            figures |= search(folder, machines, remote, stack.enter_context(database(host)))
        if "link" in args.only and spaces:
            figures["link down, again after"] = lost(folder, "link", machines, remote, server, cut=True)
        if "stop" in args.only:
            figures["stopped, again after"] = lost(folder, "stop", machines, remote, server, cut=False)
    return judge(figures, LIMITS, busy)


if __name__ == "__main__":
    sys.exit(main())
