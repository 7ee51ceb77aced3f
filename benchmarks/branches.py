"""Time of a pipeline whose branches run in parallel, and peak memory of eight notebooks against that of one.

    python benchmarks/branches.py [--rounds 3]

A project of eight stages: a start, two branches of three that fit models with one thread, and an end that joins them.
Prints medians of `mlnb run --clean` with one stage at a time and with two, with their ratio; then the peak memory
(proportional set size) of all processes, for the first stage alone and for all eight in sequence, including their
snapshots.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import ParentStatus

MLNB = str(Path(sys.executable).with_name("mlnb"))
FIT = (
    "X = np.random.default_rng(0).normal(size=(40_000, 20))\ny = X.sum(axis=1)\n"
    "m = LGBMRegressor(n_estimators=60, n_jobs=1, verbose=-1).fit(X, y)\n"
)
STAGES = {
    "start": [], "left": ["start"], "lefter": ["left"], "leftest": ["lefter"],
    "right": ["start"], "righter": ["right"], "rightest": ["righter"], "end": ["leftest", "rightest"],
}  # fmt: skip
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def write(root: Path, snapshots: str) -> None:
    """Write the project."""
    folder = root / "nbs" / "stages"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "settings.ini").write_text(
        f"[mlnb]\ntracker = local\nsnapshots = {snapshots}\n\n[pipeline train]\nstages = {' '.join(STAGES)}\n"
    )
    for number, (name, reads) in enumerate(STAGES.items(), start=1):
        total = " + ".join(f"stage.load({other!r})" for other in reads) or "0.0"
        sources = [
            f"#| default_exp stages.{name}",
            '# What a run may set.\nrun: str = "draft"',
            "#| stage\nimport numpy as np\nfrom lightgbm import LGBMRegressor\nfrom mlnb import open_stage\n"
            f'stage = open_stage("{name}", run, reads={reads!r}, writes={{"{name}": "a number"}})',
            f"#| stage\n{FIT}",
            f'#| stage\nstage.save("{name}", {total} + float(m.predict(X[:1])[0]))\nstage.close()',
        ]
        cells: list[dict[str, object]] = [
            {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": s, "outputs": [], "execution_count": None}
            for n, s in enumerate(sources)
        ]
        cells[1]["metadata"] = {"tags": ["parameters"]}
        title = {
            "cell_type": "markdown",
            "id": "title",
            "metadata": {},
            "source": f"# {name.title()}\n> It does {name}.",
        }
        kernel = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
        document = {"cells": [title, *cells], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
        (folder / f"{number}0_{name}.ipynb").write_text(json.dumps(document))


def run(root: Path, *options: str) -> float:
    """Return the wall seconds of a run from the top."""
    started = time.perf_counter()
    command = [MLNB, "run", "--clean", "--no-report", *options]
    subprocess.run(command, cwd=root, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def statuses(root: Path) -> list[ParentStatus]:
    """Return the status of each of the project's warm parents."""
    parents = parent_paths.find_parents(parent_paths.settings(root).folder)
    return [status for paths in parents if (status := parent_client.get_status(paths))]


def stop(root: Path) -> None:
    """End the project's warm parents and their kernels."""
    for paths in parent_paths.find_parents(parent_paths.settings(root).folder):
        parent_client.stop(paths, kill_kernels=True)


def held(roots: list[psutil.Process]) -> int:
    """Return the bytes of all processes below some, theirs included; what is shared counts once."""
    total = 0
    for process in {one for root in roots for one in [root, *root.children(recursive=True)]}:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def highest(root: Path, *options: str) -> tuple[int, int]:
    """Return the highest memory while a run goes, and the number of states kept at its end."""
    most = 0
    going = threading.Thread(target=run, args=(root, "--workers", "1", *options))
    going.start()
    own = psutil.Process()
    while going.is_alive():
        parents = [psutil.Process(status.pid) for status in statuses(root)]
        most = max(most, held([own, *parents]) - own.memory_full_info().pss)
        time.sleep(0.1)
    return most, sum(len(status.snapshots) for status in statuses(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        write(root, "failed")
        run(root)
        times: dict[str, list[float]] = {"1": [], "2": []}
        for _ in range(options.rounds):
            for workers, result in times.items():
                result.append(run(root, "--workers", workers))
        one, two = (statistics.median(result) for result in times.values())
        print(f"eight stages, two branches: {one:.2f} s one at a time, {two:.2f} s side by side: {two / one:.2f}")
        for snapshots in ("failed", "all"):
            write(root, snapshots)
            stop(root)
            time.sleep(1)
            run(root, "--upto", "start")
            first, _ = highest(root, "--upto", "start")
            eight, states = highest(root)
            print(
                f"snapshots = {snapshots}: one notebook {first / 2**20:.0f} MB, eight one after another "
                f"{eight / 2**20:.0f} MB: {eight / first:.2f} ×, {states} states kept at the end"
            )
        stop(root)


if __name__ == "__main__":
    main()
