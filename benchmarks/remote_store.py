"""What a remote store costs: plan and full hit of a fresh clone, large objects, cut connections, a dead store.

PYTHONPATH=tests python benchmarks/remote_store.py [--gigabytes 1] [--base CHECKOUT]

Starts an S3 server on this machine that answers after 30 ms, makes a project of eleven stages, and measures with whole
processes. `--base` is another checkout of mlnb, to compare the command without a remote store with. Ends with 1 when a
limit is exceeded though the machine is idle, a byte is wrong, or a client is loaded in a process that forks.
"""

import argparse
import json
import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import toys
from peers.limits import is_busy, judge
from s3_server import S3Server, client_variables, run_server

from mlnb.engine.digests import digest_file
from mlnb.engine.project import Project
from mlnb.engine.remote_messages import Pull, PushStage
from mlnb.engine.remote_process import RemoteProcess
from mlnb.engine.run_records import OutputRecord, StageResult

ROOT = Path(__file__).resolve().parent.parent
LATENCY = 0.03  # seconds
STAGES = 11
WARM_STAGES = 50
OBJECTS = 1000
ROUNDS = 5
LIMITS = {"plan, remote part": 0.5, "full hit": 3.0, "dead store": 15.0, "memory in MB": 200.0, "no remote, ms": 5.0}
MLNB = [sys.executable, "-m", "mlnb.cli.main"]


def project(root: Path) -> Path:
    """Write a project of eleven stages in a row; return its folder."""
    return row(root, STAGES)


def row(root: Path, count: int, first: str = "") -> Path:
    """Write a project of stages in a row, each of which begins with a piece of code; return its folder."""
    stages = {}
    for number in range(count):
        reads = [f"out{number - 1}"] if number else []
        value = f'stage.load("{reads[0]}") + 1' if reads else "0"
        body = f'{first}\nstage.save("out{number}", {value})'
        stages[f"{number + 10}_s{number}"] = toys.stage(f"s{number}", body, reads, {f"out{number}": "a number"})
    return toys.project(root, stages, "kernels_idle = 5")


def seconds(root: Path, *arguments: str, env: Mapping[str, str] | None = None, path: Path = ROOT) -> float:
    """Return the wall-clock seconds of one command; raises when it fails."""
    variables = {**os.environ, "PYTHONPATH": str(path), **(env or {})}
    begin = time.perf_counter()
    subprocess.run([*MLNB, *arguments], cwd=root, env=variables, check=True, capture_output=True)
    return time.perf_counter() - begin


def plan_and_hit(folder: Path, server: S3Server) -> dict[str, float]:
    """Return the seconds of the remote part of a plan, and of a run of which another clone has run everything."""
    first = project(folder / "first")
    seconds(first, "run")
    with_remote, alone = [], []
    for number in range(ROUNDS):
        for name, url, times in (("with", "s3://b/team", with_remote), ("alone", "", alone)):
            clone = project(folder / f"{name}{number}")
            seconds(clone, "stages", env={"MLNB_REMOTE": ""})  # the first command of a folder digests mlnb
            times.append(seconds(clone, "plan", env={"MLNB_REMOTE": url}))
    own, local = statistics.median(with_remote), statistics.median(alone)
    print(f"plan of a fresh clone: {own:.2f} s, without a remote store {local:.2f} s")
    part = own - local
    last = project(folder / "last")
    server.requests.clear()
    hit = seconds(last, "run")
    record = next((last / "runs").glob("*/run.json"))
    outputs = [stage["outputs"] for stage in json.loads(record.read_bytes())["stages"].values()]
    digests = {output["digest"] for each in outputs for output in each.values()}
    pulled = [path for path in (last / ".mlnb" / "objects").glob("*/*") if path.parent.name + path.name in digests]
    print(f"full hit: {len(server.requests)} requests, {len(pulled)} of {len(digests)} artifacts pulled")
    print(f"full hit with everything local: {seconds(last, 'run'):.2f} s")
    read_only = project(folder / "reader")
    server.requests.clear()
    seconds(read_only, "run", "--force", "s10", env={"MLNB_REMOTE_MODE": "r"})
    print(f"read-only run: {server.count('PUT') + server.count('POST')} writes, {server.count('GET')} reads")
    return {"plan, remote part": part, "full hit": hit}


def large_objects(folder: Path, server: S3Server, gigabytes: float) -> dict[str, float]:
    """Push and pull many objects and a large one, without and with cut connections; return the peak of the memory."""
    source, target = project(folder / "source"), project(folder / "target")
    store = Project.find(source).store
    parts, large = folder / "parts", folder / "large"
    parts.mkdir()
    for number in range(OBJECTS - 3):
        (parts / f"{number}.bin").write_bytes(random.Random(number).randbytes(20_000))
    with large.open("wb") as file:
        for number in range(int(gigabytes * 64)):
            file.write(random.Random(number).randbytes(1 << 24))
    outputs = {
        "parts": OutputRecord(digest=store.put_tree(parts), format="tree", bytes=0, description=""),
        "large": OutputRecord(digest=store.put_file(large), format="file", bytes=0, description=""),
    }
    notebook = store.put_bytes(b"notebook")
    result = StageResult(
        outputs=outputs, metrics={}, notebook=notebook, run="r", started="", finished="", seconds=0.0
    )  # fmt: skip
    digests = (*store.read_listing(outputs["parts"].digest).values(), outputs["parts"].digest, notebook)
    digests = (*dict.fromkeys(digests), outputs["large"].digest)
    begin, process = time.perf_counter(), RemoteProcess(source, {})
    process.request(PushStage(key="k" * 64, recipe="r" * 64, result=result))
    while not any("/stages/" in name and name.endswith("k" * 64) for name in server.buckets["b"]):
        time.sleep(0.05)
    print(f"pushed {len(digests)} objects, {gigabytes:g} GiB one of them: {time.perf_counter() - begin:.1f} s")
    memory = [peak(process)]
    process.close()
    for cut in (0.0, 0.4):
        shutil.rmtree(target / ".mlnb", ignore_errors=True)
        server.cut = cut
        begin, process = time.perf_counter(), RemoteProcess(target, {})
        reply = process.request(Pull(digests=digests))
        took = time.perf_counter() - begin
        memory.append(peak(process))
        process.close()
        server.cut = 0.0
        local = Project.find(target).store
        pulled = [digest for digest in digests if local.path(digest).exists()]
        wrong = [digest for digest in pulled if digest_file(local.path(digest)) != digest]
        print(f"pulled, {cut:.0%} of connections cut: {took:.1f} s, {len(wrong)} wrong, {len(reply.failed)} failed")
        if wrong or (reply.failed and not cut):
            raise SystemExit("wrong bytes")
    return {"memory in MB": max(memory)}


def peak(process: RemoteProcess) -> float:
    """Return the highest resident memory of a helper process so far, in MB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000


def dead_store(folder: Path) -> dict[str, float]:
    """Return the seconds of a run whose remote store accepts no connection, beyond those of a local run."""
    root = project(folder / "alone")
    usual = seconds(root, "run", env={"MLNB_REMOTE": ""})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = [socket.socket() for _ in range(4)]  # the queue is full: further connections wait
        for one in held:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        shutil.rmtree(root / ".mlnb")
        took = seconds(root, "run", env={"AWS_ENDPOINT_URL": endpoint})
        for one in held:
            one.close()
    print(f"run without a remote store {usual:.1f} s, with one that accepts no connection {took:.1f} s")
    return {"dead store": took}


def warm_stages(folder: Path) -> None:
    """Run many stages in warm kernels with a remote store, in a process of none of which a client is loaded."""
    root = row(folder / "warm", WARM_STAGES, toys.COUNT_CLIENTS)
    took = seconds(root, "run", "--no-report")
    stages = toys.record(root)["stages"].values()
    states = {(stage["state"], stage["metrics"]["clients"]) for stage in stages}
    assert len(stages) == WARM_STAGES and states == {("finished", 0.0)}, f"found {states}"
    print(f"{WARM_STAGES} warm stages with a remote store: {took:.1f} s, and a client in no process that forks")


def without_remote(folder: Path, base: Path, rounds: int = 15) -> dict[str, float]:
    """Return the milliseconds of processor time that the command takes longer than in another checkout."""
    root = project(folder / "plain")
    env = {"MLNB_REMOTE": ""}
    times: dict[Path, list[float]] = {ROOT: [], base: []}
    for path in times:
        seconds(root, "run", env=env, path=path)
    for _ in range(rounds):
        for path, values in times.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds(root, "run", env=env, path=path)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            values.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    own, other = (statistics.median(times[path]) * 1e3 for path in (ROOT, base))
    print(f"nothing to do without a remote store: {own:.0f} ms, base {other:.0f} ms of processor time")
    return {"no remote, ms": own - other}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the large object in GiB (default: 1)")
    parser.add_argument("--base", type=Path, help="another checkout, to compare the command without a remote with")
    args = parser.parse_args()
    busy = is_busy()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary, run_server() as server:
        folder = Path(temporary)
        server.buckets["b"] = {}
        server.latency = LATENCY
        os.environ.update(client_variables(server), MLNB_REMOTE="s3://b/team", MLNB_ACTOR="ana")
        figures |= plan_and_hit(folder, server)
        warm_stages(folder)
        figures |= dead_store(folder)
        figures |= without_remote(folder, args.base) if args.base else {}
        figures |= large_objects(folder, server, args.gigabytes)
    return judge(figures, LIMITS, busy)


if __name__ == "__main__":
    sys.exit(main())
