"""A command whose memory and processor time, and those of all processes below it, are watched stage by stage."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

MARK = "MLNB_BENCHMARK"  # environment variable that identifies the processes of one side
PASSIVE = {"OMP_WAIT_POLICY": "passive"}  # threads that wait for others must not count as work


class Watched(NamedTuple):
    """A command: its output and seconds, and by stage its processor seconds and highest memory in bytes."""

    output: str
    seconds: float
    busy: dict[str, float]
    memory: dict[str, int]

    @property
    def processor(self) -> float:
        """Return the processor seconds of all stages, and of the processes around them."""
        return sum(self.busy.values())

    @property
    def highest(self) -> int:
        """Return the highest memory in bytes."""
        return max(self.memory.values())


def shared_bytes(process: psutil.Process) -> int:
    """Return the memory of a process; what several share counts for each in part."""
    return int(process.memory_full_info().pss)


def private_bytes(process: psutil.Process) -> int:
    """Return the memory of a process that the system cannot take back: pages of files are not in it."""
    lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))


def watch(
    command: list[str],
    side: str,
    cwd: Path,
    environment: Mapping[str, str],
    memory_of: Callable[[psutil.Process], int] = shared_bytes,
) -> Watched:
    """Run a command and measure it; end with its output when it fails.

    Args:
        command: The command.
        side: Name of the side, which its processes have in their environment.
        cwd: Folder of its project.
        environment: Variables in addition to those of this process.
        memory_of: Returns the memory of a process in bytes.
    """
    memory, spent, busy, done = dict[str, int](), dict[int, float](), Counter[str](), threading.Event()

    def look() -> None:
        others, looked = set[int](), 0.0
        while not done.wait(max(0.5, 20 * looked)):  # the memory of a large process takes long to read, and stops it
            begun, total, stage = time.thread_time(), 0, _running(cwd)
            for process in psutil.process_iter():
                try:
                    if process.pid in others:
                        continue
                    if process.environ().get(MARK) == side:
                        total += memory_of(process)
                        times = process.cpu_times()
                        busy[stage] += times.user + times.system - spent.get(process.pid, 0.0)
                        spent[process.pid] = times.user + times.system
                    elif time.time() - process.create_time() > 2:  # a younger one may not have its environment yet
                        others.add(process.pid)
                except (psutil.Error, OSError):
                    continue
            memory[stage] = max(memory.get(stage, 0), total)
            looked = time.thread_time() - begun

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    begun = time.perf_counter()
    run = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment, MARK: side}, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - begun
    done.set()
    watcher.join()
    if run.returncode:
        sys.exit(f"{side} failed:\n{run.stdout[-3000:]}{run.stderr[-3000:]}")
    return Watched(run.stdout, seconds, dict(busy), memory)


def _running(project: Path) -> str:
    """Return the stages of the newest run that are running."""
    try:
        record = json.loads(max(project.glob("runs/*/run.json")).read_text())
    except ValueError:  # there is no run yet
        return ""
    return ", ".join(name for name, stage in record["stages"].items() if stage["state"] == "running")
