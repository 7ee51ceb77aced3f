"""Time after the search, for an ensemble on seven classes, and of `mlnb run --profile quick`.

    python benchmarks/after_tuning.py [--rounds 1] [--seconds 60] [--only ensemble|quick]

`ensemble` runs the pipeline on a table of 3,670 rows, 20 columns and seven classes, with a search of --seconds. It
prints the seconds of tune, those from its end to the end of the run, and their ratio; the limit is 15 % of the search
or 10 s. `quick` runs the profile on a table of 10,000 rows, 20 columns and two classes in an empty project: `cold`
without a warm parent, `warm` in another empty project after it; the limit is 10 s. Each line ends with the load of the
machine: times of a busy machine are no evidence. Ends with 1 when a limit is missed though the machine was idle.

Processor seconds of a warm run of the profile quick, on a busy machine: 15, of which 4 in the system. By sampling, the
kernels of the eleven stages have 9: code of cells 3.6, imports of cells 1.1, threads and libraries (LightGBM) 1.6,
start 0.7, parsing cells 0.7, snapshots 0.7, end 0.5. The command has 2.5 (W&B 0.6, report, manifest and registry 0.9),
its three workers 1.5, the service of the parity check 1.1, and building the bento 0.6. Snapshots used to take 5.

A cold run adds 2.6 processor seconds of the warm parent, which imports for one stage after the other: 0.2 for IPython's
kernel, 0.45 NumPy, pandas and SciPy, 0.55 Pandera and matplotlib, 1.0 Optuna and LightGBM with scikit-learn. The first
kernel starts after the command's imports and plan (0.25), or after the parent's first imports (0.8 from its start).
Importing everything ahead, in the order of earlier parents, gains nothing: it competes with stages for two processors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from peers.limits import BUSY_LOAD

ROOT = Path(__file__).resolve().parent.parent
MLNB = str(Path(sys.executable).with_name("mlnb"))
SHARE, SECONDS = 0.15, 10.0  # limit after the search, of its time and in seconds; the larger one counts
QUICK_SECONDS = 10.0  # limit of the profile quick
AFTER = ("train", "evaluate", "package", "document")
KINDS = ("ash", "beech", "cedar", "elm", "fir", "oak", "pine")


def seven_classes(rows: int = 3670) -> pd.DataFrame:
    """Return a table with numbers and categories on which ensembles win."""
    random = np.random.default_rng(0)
    numbers = random.normal(size=(rows, 14))
    shop, town = random.choice(list("abcde"), rows), random.choice([f"town {n}" for n in range(30)], rows)
    left, right = numbers[:, ::2], numbers[:, 1::2]
    score = 1.5 * np.sin(1.3 * left * np.roll(left, 1, axis=1)) + 2.0 * ((left > 0.5) & (right < 0.2))
    score += np.maximum(numbers @ random.normal(size=(14, 7)), 0) / 2 + random.gumbel(size=(rows, 7))
    for names in (shop, town):
        effects = {name: random.normal(size=7) for name in np.unique(names)}
        score += np.array([effects[name] for name in names])
    table = pd.DataFrame(numbers.round(4), columns=[f"measure {n}" for n in range(14)])
    return table.assign(
        size=np.exp(random.normal(size=rows)).round(3), count=random.poisson(4, rows), shop=shop, town=town,
        flag=random.choice(["x", "y"], rows), noise=random.random(rows).round(3),
        kind=np.array(KINDS)[score.argmax(axis=1)],
    )  # fmt: skip


def two_classes(rows: int = 10_000) -> pd.DataFrame:
    """Return a table with 20 columns, numbers and categories, some of whose values are missing."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "age": random.integers(18, 90, rows),
            "income": np.exp(random.normal(10, 0.6, rows)).round(2),
            "visits": random.poisson(3, rows),
            "score": random.normal(size=rows).round(3),
            "balance": random.normal(500, 300, rows).round(2),
            "tenure": random.integers(0, 120, rows),
            "plan": random.choice(["basic", "plus", "pro"], rows, p=[0.6, 0.3, 0.1]),
            "region": random.choice([f"region {n}" for n in range(12)], rows),
            "channel": random.choice(["web", "shop", "phone"], rows),
            "member": random.choice(["yes", "no"], rows),
        }
    )
    odds = 0.03 * (table["age"] - 50) + 0.8 * table["score"] - 0.02 * table["tenure"] + 1.2 * (table["plan"] == "pro")
    odds += np.sin(table["balance"] / 150) + 0.2 * table["visits"] - 1
    table.loc[random.random(rows) < 0.05, "income"] = np.nan
    more = {f"measure {number}": random.normal(size=rows).round(4) for number in range(10)}
    return table.assign(**more, churn=np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no"))


def run(folder: Path, *options: str) -> float:
    """Run the pipeline in a project; return the wall seconds of the command."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"BENTOML_HOME": str(folder / "bentoml")}
    start = time.perf_counter()
    subprocess.run([MLNB, "run", *options], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def stage_seconds(folder: Path) -> tuple[float, float, dict[str, float]]:
    """Return the seconds of tune, those from its end to that of the run, and those of each stage after it."""
    record = json.loads((folder / "runs" / "latest.json").read_text())["id"]
    stages = json.loads((folder / "runs" / record / "run.json").read_text())["stages"]
    ended = {name: datetime.fromisoformat(stages[name]["finished"].replace("Z", "+00:00")) for name in (*AFTER, "tune")}
    after = (max(ended.values()) - ended["tune"]).total_seconds()
    return stages["tune"]["seconds"], after, {name: stages[name]["seconds"] for name in AFTER}


def measure_ensemble(seconds: int) -> bool:
    """Print the times of a run on seven classes; return whether the limit is met."""
    with tempfile.TemporaryDirectory() as name:
        folder, load = Path(name), os.getloadavg()[0]
        seven_classes().to_csv(folder / "kinds.csv", index=False)
        run(folder, "--data", "kinds.csv", "--target", "kind", "-p", "tune.seconds", str(seconds))
        tune, after, each = stage_seconds(folder)
    parts = ", ".join(f"{stage} {value:.1f}" for stage, value in each.items())
    limit = max(SHARE * tune, SECONDS)
    ratio = f"{after / tune:.0%} of it, limit {limit:.1f} s"
    print(f"ensemble  tune {tune:.1f} s, after it {after:.1f} s ({ratio}), load {load:.1f}")
    print(f"          {parts}")
    return after <= limit


def measure_quick(state: str) -> bool:
    """Print the time of the profile quick in an empty project; return whether the limit is met."""
    with tempfile.TemporaryDirectory() as name:
        folder, load = Path(name), os.getloadavg()[0]
        two_classes().to_csv(folder / "churn.csv", index=False)
        seconds = run(folder, "--data", "churn.csv", "--target", "churn", "--profile", "quick")
    print(f"quick     {state} {seconds:.1f} s (limit {QUICK_SECONDS:.0f} s), load {load:.1f}")
    return seconds <= QUICK_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="repeats (default: 1)")
    parser.add_argument("--seconds", type=int, default=60, help="budget of the search on seven classes (default: 60)")
    parser.add_argument("--only", choices=("ensemble", "quick"), help="measure only this")
    args = parser.parse_args()
    idle, met = os.getloadavg()[0] < BUSY_LOAD, True
    for _ in range(args.rounds):
        if args.only != "ensemble":
            subprocess.run([MLNB, "kernels", "stop"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
            measure_quick("cold")
            met &= measure_quick("warm")
        if args.only != "quick":
            met &= measure_ensemble(args.seconds)
    return int(idle and not met)


if __name__ == "__main__":
    sys.exit(main())
