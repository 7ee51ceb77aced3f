"""How long `mlnb run` takes from the shell with nothing to do: eight notebooks, 100 MB of inputs.

python benchmarks/nothing_to_do.py [--rounds 15] [--here]

Makes a project of eight stage notebooks in a temporary folder, of which two read 50 MB each, runs it once, then times
whole processes, in turn: a Python that does nothing, `mlnb run` that checks everything (`first`: the output of no
earlier check was kept), and `mlnb run` again (`again`: it checks that nothing has changed which the first has read).
Prints the medians of wall and processor time and their ratios. `--here` measures the project of this checkout instead
(profile smoke). Ends with 1 when a heavy library is imported, or the median of `first` is over the limit though the
machine is idle.

Most of `first` are imports: of 408 million instructions, 93 are Python's start, 100 msgspec's import, 42 that of
dataclasses, 57 other modules of the standard library and 80 this package's; the check itself is the rest. That is why
`again` imports none of them.
"""

import argparse
import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import figures
from peers.limits import BUSY_SECONDS

ROOT = Path(__file__).resolve().parent.parent
MLNB = str(Path(sys.executable).with_name("mlnb"))
LIMIT = 0.15  # seconds from the shell
HEAVY = ("pandas", "sqlalchemy", "papermill", "wandb", "bentoml", "nbformat")
CACHED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
NAMES = ("ingest", "check", "explore", "split", "features", "tune", "train", "evaluate")
SETTINGS = f"[mlnb]\ntracker = local\nkernels_idle = 5\n\n[pipeline train]\nstages = {' '.join(NAMES)}\n"


def notebook(name: str, before: str | None, data: str | None) -> dict[str, object]:
    """Return a stage notebook that imports what stages import, and reads what the stage before has written."""
    reads = [before] if before else []
    parameters = '# What a run may set.\nrun: str = "draft"\n'
    if data:
        parameters += f'data: str = "{data}"  # a file [file]\n'
    body = f"stage.save({name!r}, " + (f"stage.load({before!r}) + 1" if before else "0") + ")"
    sources = [
        ("markdown", f"# {name.title()}\n> It does {name}."),
        ("code", f"#| default_exp stages.{name}"),
        ("code", parameters),
        ("code", "#| export\nimport json\nimport math\n\n\ndef doubled(x):\n    return 2 * x"),
        ("code", "assert doubled(2) == 4"),
        (
            "code",
            "#| stage\nimport numpy as np\nimport pandas as pd\nfrom mlnb import open_stage\n"
            f'stage = open_stage("{name}", run, reads={reads!r}, writes={{"{name}": "a number"}})',
        ),
        ("code", f"#| stage\n{body}"),
        ("code", "#| stage\nstage.close()"),
    ]
    cells = []
    for number, (kind, source) in enumerate(sources):
        cell: dict[str, object] = {"cell_type": kind, "id": f"c{number}", "metadata": {}, "source": source}
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None}
        cells.append(cell)
    cells[2]["metadata"] = {"tags": ["parameters"]}
    kernel = {"display_name": "python3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def project(root: Path) -> Path:
    """Write the project, and 100 MB for two of its stages to read; return its folder."""
    folder = root / "nbs" / "stages"
    folder.mkdir(parents=True)
    (root / "settings.ini").write_text(SETTINGS)
    for number, name in enumerate(NAMES):
        data = f"{name}.bin" if name in ("ingest", "features") else None
        if data:
            (root / data).write_bytes(random.Random(number).randbytes(50_000_000))
        before = NAMES[number - 1] if number else None
        (folder / f"{number + 1}0_{name}.ipynb").write_text(json.dumps(notebook(name, before, data)))
    time.sleep(2.1)  # a younger file is read again, as its time could not show a change
    return root


def seconds(command: list[str], folder: Path, **environment: str) -> tuple[float, float]:
    """Return the wall-clock and the processor seconds of one whole process; raises when it fails."""
    started, before = time.perf_counter(), processor_seconds()
    environment = CACHED | environment
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - started, processor_seconds() - before


def processor_seconds() -> float:
    """Return the processor seconds of all processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def imported(command: list[str], folder: Path) -> set[str]:
    """Return the top-level names of all modules that the command imports."""
    command = [sys.executable, "-X", "importtime", *command]
    traced = subprocess.run(command, cwd=folder, env=CACHED, check=True, capture_output=True, text=True)
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", traced.stderr, re.MULTILINE)
    return {name.partition(".")[0] for name in names}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="whole-process runs of each command (default: 15)")
    parser.add_argument("--here", action="store_true", help="measure this checkout's own project, profile smoke")
    figures.add_json(parser)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = ROOT if args.here else project(Path(temporary))
        run = [MLNB, "run", "--no-report", *(["--profile", "smoke"] if args.here else [])]
        subprocess.run(run, cwd=folder, env=CACHED, check=True)
        result = sorted(imported(run, folder) & set(HEAVY))
        for _ in range(2):  # the first writes what it has read, the second keeps its output
            time.sleep(2.1)  # younger files are read again, as their times could not show a change
            seconds(run, folder)
        times: dict[str, list[tuple[float, float]]] = {"python -c pass": [], "first": [], "again": []}
        for number in range(args.rounds):
            times["python -c pass"].append(seconds([sys.executable, "-c", "pass"], folder))
            times["first"].append(seconds(run, folder, BENCHMARK_ROUND=str(number)))  # no output is kept for it
            times["again"].append(seconds(run, folder))
        subprocess.run([MLNB, "kernels", "stop"], cwd=folder, env=CACHED, check=True, stdout=subprocess.DEVNULL)
    medians = {name: statistics.median(wall for wall, _ in values) for name, values in times.items()}
    busiest = {name: statistics.median(used for _, used in values) for name, values in times.items()}
    busy = medians["python -c pass"] > BUSY_SECONDS
    print()
    if "PYTHONDONTWRITEBYTECODE" in os.environ:
        print("PYTHONDONTWRITEBYTECODE is set here; it was unset for both")
    for name, values in times.items():
        low, high = min(values)[0] * 1e3, max(values)[0] * 1e3
        print(f"{name:16} {medians[name] * 1e3:7.0f} ms  ({low:.0f} to {high:.0f}), ", end="")
        wall, used = (each[name] / each["python -c pass"] for each in (medians, busiest))
        print(f"processor {busiest[name] * 1e3:.0f} ms, ratios {wall:.1f} and {used:.1f}")
    print(f"{'imported':16} {', '.join(result) or 'none'} of {', '.join(HEAVY)}")
    ratios = {name: busiest[name] / busiest["python -c pass"] for name in ("again", "first")}
    work = "`mlnb run`, nothing to do, against `python -c pass`"
    figures.write(
        args.json,
        [
            figures.Figure(work, ratios["again"], 2.0, note="processor time, medians in turns"),
            figures.Figure(f"{work}, first check", ratios["first"], note="the same"),
        ],
    )
    late = medians["first"] > LIMIT
    if late:
        print(f"over the limit of {LIMIT} s" + (", on a busy machine: not judged" if busy else ""))
    return 1 if result or (late and not busy) else 0


if __name__ == "__main__":
    sys.exit(main())
