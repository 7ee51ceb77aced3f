"""How long `mlnb run` takes from the shell with nothing to do, beside a Python that does nothing at all.

python benchmarks/nothing_to_do.py [--rounds 15] [--profile smoke]

Runs the pipeline once if it has to, then times whole processes, the two commands in turn, and prints the
medians and their ratio. Ends with 1 when a heavy library is imported, or the median is over the limit though
the machine is idle.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MLNB = str(Path(sys.executable).with_name("mlnb"))
LIMIT = 0.5  # seconds from the shell
BUSY = 0.05  # seconds that a Python doing nothing takes at most on a machine that can be judged by
HEAVY = ("pandas", "papermill", "wandb", "bentoml")
CACHED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def seconds(command: list[str]) -> float:
    """Return the wall-clock seconds of one whole process; raises when it fails."""
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=CACHED, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started


def imported(command: list[str]) -> set[str]:
    """Return the top-level names of all modules that the command imports."""
    traced = subprocess.run(
        [sys.executable, "-X", "importtime", *command],
        cwd=ROOT,
        env=CACHED,
        check=True,
        capture_output=True,
        text=True,
    )
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", traced.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="whole-process runs of each command (default: 15)")
    parser.add_argument("--profile", default="smoke", help="profile of the run (default: smoke)")
    args = parser.parse_args()
    run = [MLNB, "run", "--profile", args.profile]
    subprocess.run(run, cwd=ROOT, env=CACHED, check=True)
    found = sorted(imported(run) & set(HEAVY))
    times: dict[str, list[float]] = {"python -c pass": [], "mlnb run": []}
    for _ in range(args.rounds):
        times["python -c pass"].append(seconds([sys.executable, "-c", "pass"]))
        times["mlnb run"].append(seconds(run))
    medians = {name: statistics.median(values) for name, values in times.items()}
    busy = medians["python -c pass"] > BUSY
    print()
    if "PYTHONDONTWRITEBYTECODE" in os.environ:
        print("PYTHONDONTWRITEBYTECODE is set here; it was unset for both")
    for name, values in times.items():
        print(f"{name:16} {medians[name] * 1e3:7.0f} ms  ({min(values) * 1e3:.0f} to {max(values) * 1e3:.0f})")
    print(f"{'ratio':16} {medians['mlnb run'] / medians['python -c pass']:7.1f}")
    print(f"{'imported':16} {', '.join(found) or 'none'} of {', '.join(HEAVY)}")
    late = medians["mlnb run"] > LIMIT
    if late:
        print(f"over the limit of {LIMIT} s" + (", on a busy machine: not judged" if busy else ""))
    return 1 if found or (late and not busy) else 0


if __name__ == "__main__":
    sys.exit(main())
