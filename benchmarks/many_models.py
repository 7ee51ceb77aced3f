"""One model for each store: forty models of 5,000 rows, trained, evaluated, packaged and verified by one command.

    python benchmarks/many_models.py [--models 40] [--rows 5000] [--workers 2] [--folder DIR] [-- OPTIONS OF MLNB RUN]

Generates a table in which each store has other effects, runs `mlnb run --each store` in a new project, and the same
command again, which has nothing to do. Prints seconds, processor seconds and the highest memory of all processes
together (proportional set size), per model and in all, and the seconds of each stage. Ends with 1 when a model failed,
or forty models take longer than ten minutes though processors were free: processor seconds are compared with the time
that two processors have.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from peers.watched_runs import PASSIVE, watch

LIMIT = 15.0  # seconds for a model on two processors: forty in ten minutes
PROCESSORS = 2
MLNB = [sys.executable, "-m", "mlnb.cli.main"]


def generate(path: Path, models: int, rows: int) -> None:
    """Write a table of stores, each with `rows` rows and other effects of the same columns."""
    random, parts = np.random.default_rng(0), []
    for number in range(models):
        table = pd.DataFrame(
            {
                "store": f"store {number:02}",
                "age": random.integers(18, 90, rows),
                "income": random.lognormal(10, 1, rows).round(),
                "months": random.integers(1, 72, rows),
                "plan": random.choice(["basic", "plus", "pro"], rows),
                "channel": random.choice(list("abcdefgh"), rows),
                "calls": random.poisson(3, rows),
                "usage": random.gamma(2, 50, rows).round(1),
            }
        )
        effects = random.normal([0.3, -0.03, 0.6, 0.01], [0.1, 0.01, 0.3, 0.005])
        signal = effects[0] * table["calls"] + effects[1] * table["months"] + effects[2] * (table["plan"] == "basic")
        signal += effects[3] * (table["usage"] - 100) - 1
        table["churn"] = np.where(signal + random.logistic(size=rows) > 0, "yes", "no")
        parts.append(table)
    pd.concat(parts).sample(frac=1, random_state=0).to_csv(path, index=False)


def run(folder: Path, models: int, rows: int, workers: int, options: list[str]) -> bool:
    """Train the models and print the figures; return whether they are within the limit."""
    generate(folder / "stores.csv", models, rows)
    subprocess.run([*MLNB, "new", "project"], cwd=folder, check=True, capture_output=True)
    project = folder / "project"
    command = [*MLNB, "run", "--data", str(folder / "stores.csv"), "--target", "churn", "--each", "store"]
    command += ["--workers", str(workers), "--most", str(models), *options]
    measured, again = watch(command, "first", project, PASSIVE), watch(command, "again", project, PASSIVE)
    print(measured.output)
    stages: dict[str, list[float]] = collections.defaultdict(list)
    for path in project.glob("runs/*/run.json"):
        record = json.loads(path.read_text())
        for name, stage in record["stages"].items():
            if stage["state"] == "finished" and stage["seconds"]:
                stages[name].append(stage["seconds"])
    print(f"{'stage':10}{'executed':>9}{'seconds each':>14}")
    for name, seconds in stages.items():
        print(f"{name:10}{len(seconds):9}{sum(seconds) / len(seconds):14.1f}")
    each, worked = measured.seconds / models, measured.processor / models
    print(
        f"{models} models of {rows:,} rows: {measured.seconds:.0f} s, {each:.1f} s and {worked:.1f} processor s a model"
    )
    print(f"highest memory {measured.highest / 2**20:.0f} MB; again, with nothing to do: {again.seconds:.1f} s")
    return min(each, worked / PROCESSORS) <= LIMIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument(
        "options", nargs="*", default=["--profile", "many"], help="of mlnb run, after -- (default: --profile many)"
    )
    requested = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as temporary:
        folder = requested.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        within = run(folder, requested.models, requested.rows, requested.workers, requested.options)
    sys.exit(not within)


if __name__ == "__main__":
    main()
