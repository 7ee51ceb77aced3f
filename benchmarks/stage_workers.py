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
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime
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
LONG_SLEEP = 30.0  # the same, if another worker joins first
TRIALS = 8
ROUNDS = 5
LIMITS = {
    "overhead of a stage": 1.0,
    "kill in tune, beyond": 10.0,
    "kill in a stage, beyond": 10.0,
    "killed clone, noticed after": 12.0,
    "killed clone, beyond": 12.0,
    "link down, again after": 45.0,
    "stopped, again after": 45.0,
    "no remote, ms": 5.0,
}
PARTS = ["overhead", "search", "clones", "kill", "link", "stop"]
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
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def search(folder: Path, machines: list[Machine], remote: Mapping[str, str], storage: str) -> dict[str, float]:
    """Return the seconds after a worker was killed in which a search did no work, by the records of its trials.

    The digests are those of a local run, and each trial counts once. One machine has one trial at a time, so what it
    does between the kill and the last trial is either work, some of which is done again, or waiting for the lost one.
    """
    data = ["--data", "sklearn:breast_cancer"]
    roots = {name: folder / name for name in ("alone", "killed")}
    for root in roots.values():
        root.mkdir()
    env = {**os.environ, "MLNB_EXECUTOR": "local"}
    command(roots["alone"], "run", "--no-report", *data, *SEARCH, env=env)
    killed: list[datetime] = []
    opened = optuna.storages.RDBStorage(storage)

    def kill() -> None:
        wait(lambda: runs_trial(opened, machines[0]), "a trial on the machine that is killed", 300)
        killed.append(datetime.now())
        machines[0].send(signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    words = ["-p", "tune.storage", storage, "-p", "tune.workers", "1"]
    command(roots["killed"], "run", "--no-report", *data, *SEARCH, *words, env=remote)
    expected, result = (outputs(roots[name]) for name in ("alone", "killed"))
    wrong = [artifact for artifact, digest in result.items() if digest != expected[artifact]]
    assert killed and not wrong, f"killed {len(killed)}, other digests of {', '.join(wrong)}"
    (name,) = optuna.get_all_study_names(opened)
    trials = optuna.load_study(study_name=name, storage=opened).trials
    counted = [trial for trial in trials if trial.state.name != "FAIL" or "scores" in trial.user_attrs]
    indices = sorted(trial.user_attrs["index"] for trial in counted)
    assert indices == list(range(TRIALS)), f"trials {indices}, expected each of {TRIALS} once"
    ended = max(trial.datetime_complete for trial in counted if trial.datetime_complete)
    spans = [(trial.datetime_start, trial.datetime_complete) for trial in counted]
    seconds = idle([(start, end) for start, end in spans if start and end and end > killed[0]], killed[0], ended)
    total, again = (ended - killed[0]).total_seconds(), len(trials) - len(counted)
    print(f"tune, {total:.1f} s from the kill to the last trial, {again} trial(s) again, {seconds:.1f} s without work")
    machines[0].join()
    return {"kill in tune, beyond": seconds}


def runs_trial(storage: optuna.storages.RDBStorage, machine: Machine) -> bool:
    """Return whether a process of a machine runs a trial of any study, after some have ended."""
    for name in optuna.get_all_study_names(storage):
        trials = optuna.load_study(study_name=name, storage=storage).trials
        workers = [trial.user_attrs.get("worker", "::") for trial in trials if trial.state.name == "RUNNING"]
        if any(trial.state.is_finished() for trial in trials):
            return any(machine.owns(worker.split(":")[1]) for worker in workers)
    return False


def idle(work: list[tuple[datetime, datetime]], begin: datetime, end: datetime) -> float:
    """Return the seconds of a period in which nothing was worked on."""
    seconds, until = 0.0, begin
    for start, stop in sorted(work):
        seconds += max((start - until).total_seconds(), 0.0)
        until = max(until, stop)
    return seconds + max((end - until).total_seconds(), 0.0)


def lost(folder: Path, name: str, machines: list[Machine], remote: Mapping[str, str], server: S3Server) -> float:
    """Return the seconds until the stage of a lost worker ends on another machine, beyond what the stage takes.

    A worker that was cut off (`link`) or stopped (`stop`) continues at the end; the result of its stage is not
    replaced. One that was killed (`kill`) does not, and the other machine has a worker before: it has joined while
    the stage was running, so that its first kernel is cold.
    """
    sleep = LONG_SLEEP if name == "kill" else SLEEP
    body = f'import time\ntime.sleep({sleep})\nstage.save("out", [{name!r}, time.time()])'
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
                if name == "kill":
                    machines[1].join()
                begin = time.perf_counter()
                if name == "link":
                    machines[0].cut(True)
                else:
                    machines[0].send(signal.SIGSTOP if name == "stop" else signal.SIGKILL)
                if name != "kill":
                    machines[1].join()
            ended |= event["event"] == "stage_finished"
    seconds = time.perf_counter() - begin - sleep
    assert process.returncode == 0 and ended, f"exit code {process.returncode}"
    if name == "kill":
        print(f"{name}: {seconds:.1f} s beyond the stage itself, on a worker that was cold")
        machines[0].join()
        return seconds
    entries = {key: data for key, data in server.buckets["b"].items() if "/stages/" in key}
    before = machines[0].joined()
    if name == "link":
        machines[0].cut(False)
    else:
        machines[0].send(signal.SIGCONT)
    wait(lambda: machines[0].joined() > before, f"{machines[0].name} to join again")
    time.sleep(SLEEP)  # in which its notebook would end, too
    changed = [key for key, data in entries.items() if server.buckets["b"][key] != data]
    assert not changed, f"a late worker has replaced {changed}"
    print(f"{name}: again after {seconds:.1f} s; the late result is not used, and the worker has joined again")
    return seconds


def clones(folder: Path, machines: list[Machine], remote: Mapping[str, str], url: str) -> dict[str, float]:
    """Run one pipeline in a clone on each machine at once, then kill one; return the seconds until it is noticed.

    With a shared database each stage runs once. The stage of the clone that was killed runs in the other one.
    """
    body = f"import time\ntime.sleep({SLEEP})\nstage.save('out', start)"
    slow = toys.stage("slow", body, [], {"out": "a number"}, "start: int = 0  # a number [0..]")
    after = toys.stage("after", "stage.save('end', stage.load('out') + 1)", ["out"], {"end": "a number"})
    roots = [toys.project(folder / f"clone{n}", {"10_slow": slow, "20_after": after}) for n in (1, 2)]
    env = {**remote, "MLNB_EXECUTOR": "local", "MLNB_DATABASE": url, "PYTHONPATH": str(ROOT)}

    def start(number: int, *arguments: str) -> "subprocess.Popen[str]":
        words = [*machines[number].prefix, *MLNB, *arguments]
        return subprocess.Popen(words, cwd=roots[number], env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)

    for process in [start(number, "run", "--no-report") for number in (0, 1)]:
        text = process.communicate()[0]
        assert process.returncode == 0, text
    records = [toys.record(root)["stages"] for root in roots]
    for name in ("slow", "after"):
        states = sorted(record[name]["state"] for record in records)
        assert states == ["finished", "reused"], f"{name} is {' and '.join(states)}, expected to run once"
    killed = start(0, "run", "--no-report", "--json", "-p", "slow.start", "1")
    assert killed.stdout is not None
    next(line for line in killed.stdout if '"cell_started"' in line and '"Work"' in line)
    second = start(1, "run", "--no-report", "-p", "slow.start", "1")
    time.sleep(SLEEP / 2)
    killed.kill()
    begin, noticed = time.perf_counter(), 0.0
    killed.communicate()
    while not noticed:
        listed = json.loads(start(1, "runs", "--json").communicate()[0])
        states = {run["machine"]: run["state"] for run in listed if run["machine"]}
        assert len(states) == 1, f"found {states}, expected the run of one other machine"
        noticed = time.perf_counter() - begin if "killed" in states.values() else 0.0
    second.communicate()
    seconds = time.perf_counter() - begin - SLEEP
    assert second.returncode == 0 and toys.record(roots[1])["stages"]["slow"]["state"] == "finished"
    print(f"two clones at once: each stage ran once; a killed one is shown as killed after {noticed:.1f} s, and its")
    print(f"stage has run in the other clone {seconds:.1f} s beyond the stage itself")
    return {"killed clone, noticed after": noticed, "killed clone, beyond": seconds}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=Path, help="another checkout, to compare the command without a remote with")
    parser.add_argument("--only", nargs="+", default=PARTS, choices=PARTS, help="parts to measure")
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
        if "clones" in args.only:
            figures |= clones(folder, machines, remote, stack.enter_context(database(host)))
        if "kill" in args.only:
            figures["kill in a stage, beyond"] = lost(folder, "kill", machines, remote, server)
        if "link" in args.only and spaces:
            figures["link down, again after"] = lost(folder, "link", machines, remote, server)
        if "stop" in args.only:
            figures["stopped, again after"] = lost(folder, "stop", machines, remote, server)
    return judge(figures, LIMITS, busy)


if __name__ == "__main__":
    sys.exit(main())
