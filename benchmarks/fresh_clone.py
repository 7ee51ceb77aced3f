"""`make run` on a fresh clone with cached packages, and the size of the report that it writes.

    python benchmarks/fresh_clone.py [--folder DIR]

Clones the commit of this checkout, runs `make run` there and reads the times from its output and from the record of the
run: the set-up of the environment, the run, and each stage. The packages are
in the cache when any environment was set up on this machine before. Needs git and make.

Processor seconds of the run: about 70. The kernels have 53 (`tune` 27, `evaluate` 7, `train` 5, `package` 4, `explore`
3, the others 5), the warm parent 8, the command 8. Two cores cannot do this in less than 35 s. The set-up used to take
64 processor seconds for compiling all installed modules; those that a run imports take 10, and the whole set-up 25.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import figures

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")  # of the environment that runs this


def environment() -> dict[str, str]:
    """Return the environment of a shell in which no virtual environment is active."""
    own = str(Path(sys.executable).parent)
    path = os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if folder != own)
    return {name: value for name, value in os.environ.items() if name not in LOCAL} | {"PATH": path}


def make_run(clone: Path) -> tuple[float, float]:
    """Run `make run`; return the wall seconds until the run begins, and those of all."""
    begun, set_up = time.perf_counter(), 0.0
    command = ["make", "run", f"PYTHON={Path(sys.executable).resolve()}"]
    with subprocess.Popen(command, cwd=clone, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith("run ") and not set_up:
                set_up = time.perf_counter() - begun
    if process.returncode:
        sys.exit(f"make run ended with {process.returncode}")
    return set_up, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where the clone is made (default: a temporary folder)")
    figures.add_json(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        clone = (options.folder or Path(temporary)) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        set_up, whole = make_run(clone)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        record = json.loads(max(clone.glob("runs/*/run.json")).read_text())
        report = max(clone.glob("runs/*/report.html"))
        size, svg = report.stat().st_size / 1e6, report.read_text().count("data:image/svg+xml")
        subprocess.run([clone / ".venv/bin/mlnb", "kernels", "stop"], cwd=clone, stdout=subprocess.DEVNULL, check=False)
    print(
        f"\nset-up {set_up:.1f} s, run {whole - set_up:.1f} s, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    print(f"processor {used.ru_utime + used.ru_stime:.1f} s without warm kernels")
    for name, stage in record["stages"].items():
        print(f"  {name:10}{stage['seconds'] or 0:8.1f} s")
    print(f"report {size:.2f} MB, {svg} SVG plots")
    note = f"set-up {set_up:.0f} s, run {whole - set_up:.0f} s"
    figures.write(
        options.json,
        [
            figures.Figure("`make run` on a fresh clone, packages cached", whole, 45, "s", note=note),
            figures.Figure("the report of a run", size, 0.6, "MB", note=f"{svg} SVG plots"),
        ],
    )


if __name__ == "__main__":
    main()
