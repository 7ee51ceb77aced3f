"""Run benchmarks, and print the table of performance targets at the end.

    python benchmarks/all.py [NAME ...] [--every]

Runs the benchmarks of the table, or those named, such as `kernels batch`; `--every` also runs those without a target.
A benchmark that fails is a row without a value. Ends with 1 when a target is missed or unknown. The figures are
ratios within one run, or seconds on a machine that does nothing else.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import figures

HERE = Path(__file__).resolve().parent
TABLE = {
    "kernels": ["--quick", "--rounds", "5"],
    "nothing_to_do": [],
    "forecast_requests": [],
    "serving": ["--mixed", "0"],
    "workers": [],
    "service_start": [],
    "million": [],
    "batch": ["--rows", "10000000", "--family", "lightgbm"],
    "fresh_clone": [],
}


def run(name: str, options: list[str], folder: Path) -> list[figures.Figure]:
    """Run a benchmark, and return its figures; [] when it failed or has none."""
    path = folder / f"{name}.json"
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    command += ["--json", str(path)] if name in TABLE else []
    print(f"== {' '.join([name, *options])}", flush=True)
    began = time.perf_counter()
    code = subprocess.run(command, cwd=HERE.parent, check=False).returncode
    print(f"== {name}: {time.perf_counter() - began:.0f} s, exit code {code}\n", flush=True)
    return figures.read(path)


def row(figure: figures.Figure) -> tuple[str, str, str, str, str]:
    """Return the cells of a figure."""
    sign = "≥" if figure.at_least else "≤"
    target = f"{sign} {figure.target:g} {figure.unit}" if figure.target is not None else "–"
    verdict = "–" if figure.target is None else "reached" if figure.reached else "missed"
    return figure.work, target, f"{figure.value:.2f} {figure.unit}", verdict, figure.note


def print_table(rows: list[tuple[str, str, str, str, str]]) -> None:
    """Print rows as a Markdown table."""
    head = ("work", "target", "measured", "verdict", "how")
    widths = [max(len(each[column]) for each in [head, *rows]) for column in range(len(head))]
    for cells in (head, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "all")
    parser.add_argument("names", nargs="*", choices=[*every, []], metavar="NAME", help=f"of {', '.join(every)}")
    parser.add_argument("--every", action="store_true", help="also run the benchmarks without a target")
    options = parser.parse_args()
    names = options.names or [*TABLE, *(name for name in every if options.every and name not in TABLE)]
    rows, complete = list[tuple[str, str, str, str, str]](), True
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            measured = run(name, TABLE.get(name, []), Path(folder))
            complete &= all(figure.reached for figure in measured) and (bool(measured) or name not in TABLE)
            rows += [row(figure) for figure in measured]
            if name in TABLE and not measured:
                rows.append((name, "–", "–", "failed", "see its output"))
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_table(rows)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
