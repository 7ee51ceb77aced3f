"""Train on a table that does not fit in memory, and compare with the same table in memory.

    python benchmarks/larger_than_memory.py [--rows 5000000] [--memory 2] [--categories] [--folder DIR] [--alone]

Generates a Parquet file of twenty columns and a target, in groups of rows, half of the columns float32 and half
float64, each value a multiple of 1/64; with --categories two of the columns are texts. Two projects run
`mlnb run --upto evaluate` on it, LightGBM alone with one trial: one with all memory of the machine, one with the
setting `memory`, so that tables are held in memory-mapped files.
Prints seconds and memory of each stage of both, and whether all artifacts are equal to the byte. Memory is what the
system cannot take back: allocated and private (Pss_Anon of all processes); pages of files are not in it. With --alone,
only the limited project runs, for tables that do not fit in memory.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from peers import figures
from peers.watched_runs import private_bytes, watch
from pyarrow import parquet

COLUMNS = 20
GROUP = 1 << 20  # rows that are generated at a time
SETTINGS = {
    "split.folds": "2",
    "tune.trials": "1",
    "tune.seconds": "0",
    "tune.families": '["lightgbm"]',
    "metric": "roc_auc",
}
COMPARED = ("table", "training", "test", "encoder", "best", "model", "metrics")  # artifacts


class Side(NamedTuple):
    """A run: wall seconds, and by stage its seconds, highest memory in bytes and digests of artifacts."""

    seconds: float
    stages: dict[str, float]
    memory: dict[str, int]
    digests: dict[str, str]

    @property
    def highest(self) -> int:
        """Return the highest memory in bytes."""
        return max(self.memory.values())


def generate(path: Path, rows: int, categories: bool) -> None:
    """Write the file."""
    random, writer = np.random.default_rng(0), None
    levels = np.array([f"level {n:03d}" for n in range(300)])
    effect = random.normal(size=300)
    for start in range(0, rows, GROUP):
        count = min(GROUP, rows - start)
        columns, signal = {}, np.zeros(count)
        for i in range(COLUMNS):
            if categories and i >= COLUMNS - 2:
                codes = random.integers(0, 8 if i == COLUMNS - 1 else 300, count)
                columns[f"category_{i}"] = pa.array(levels[codes])
                signal += 0.5 * effect[codes]
                continue
            values = np.round(random.normal(size=count) * 64) / 64
            signal += values * (i % 3) / 3 + 0.2 * (values > 1) * (i % 2)
            present = None if i % 5 else random.random(count) < 0.05
            columns[f"measure_{i}"] = pa.array(values.astype(np.float32 if i % 2 else np.float64), mask=present)
        columns["churned"] = pa.array(np.where(signal + random.logistic(size=count) > 0.6, "yes", "no"))
        table = pa.table(columns)
        writer = writer or parquet.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def run(project: Path, source: Path, side: str, memory: float) -> Side:
    """Run the pipeline in a project with a setting of memory, and measure it."""
    command = [sys.executable, "-m", "mlnb.cli.main", "run", "--data", str(source), "--target", "churned"]
    command += ["--upto", "evaluate", "--no-report", "--tracker", "local"]
    for name, value in SETTINGS.items():
        command += ["-p", name, value]
    environment = {"MLNB_RUN_MEMORY": str(1024 * memory)} if memory else {}
    watched = watch(command, side, project, environment, private_bytes)
    record = json.loads(max(project.glob("runs/*/run.json")).read_text())["stages"]
    outputs = {name: out["digest"] for stage in record.values() for name, out in stage.get("outputs", {}).items()}
    spent = {name: stage["seconds"] for name, stage in record.items() if stage.get("seconds")}
    return Side(watched.seconds, spent, watched.memory, outputs)


def show(name: str, side: Side) -> None:
    """Print a side."""
    print(f"{name}: {side.seconds:.1f} s, {side.highest / 2**20:,.0f} MB")
    for stage, seconds in side.stages.items():
        sizes = [size for names, size in side.memory.items() if stage in names.split(", ")]
        print(f"  {stage:10}{seconds:8.1f} s{max(sizes, default=0) / 2**20:10,.0f} MB", flush=True)


def compare(folder: Path, rows: int, memory: float, categories: bool, alone: bool) -> list[figures.Figure]:
    """Generate the file, run one side or both, print and return the figures."""
    path = folder / "rows.parquet"
    if not path.exists():
        generate(path, rows, categories)
    table_bytes = rows * COLUMNS * 8
    print(f"{rows:,} rows × {COLUMNS}: {table_bytes / 2**20:,.0f} MB, file {path.stat().st_size / 2**20:,.0f} MB")
    sides = dict[str, Side]()
    for name in ["in files"] if alone else ["in memory", "in files"]:
        project = folder / name.replace(" ", "_")
        new = [sys.executable, "-m", "mlnb.cli.main", "new", project.name]
        subprocess.run(new, cwd=folder, check=True, capture_output=True)
        sides[name] = run(project, path, name, memory if name == "in files" else 0.0)
        show(name, sides[name])
    limited = sides["in files"]
    work = f"{rows:,} rows × {COLUMNS} with {memory:g} GB, memory against the table"
    measured = [figures.Figure(work, limited.highest / table_bytes)]
    if not alone:
        whole = sides["in memory"]
        different = [name for name in COMPARED if whole.digests[name] != limited.digests[name]]
        print("artifacts: " + (f"different: {', '.join(different)}" if different else "equal to the byte"))
        print(f"ratio of time {limited.seconds / whole.seconds:.2f}, of memory {limited.highest / whole.highest:.2f}")
        measured.append(figures.Figure("the same, time against in memory", limited.seconds / whole.seconds))
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--memory", type=float, default=2.0, help="memory of the limited project, in GB")
    parser.add_argument("--categories", action="store_true", help="two columns of texts")
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--alone", action="store_true", help="without the project in memory")
    figures.add_json(parser)
    requested = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sized = (requested.rows, requested.memory, requested.categories, requested.alone)
    if requested.folder:
        requested.folder.mkdir(parents=True, exist_ok=True)
        measured = compare(requested.folder, *sized)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measured = compare(Path(folder), *sized)
    figures.write(requested.json, measured)


if __name__ == "__main__":
    main()
