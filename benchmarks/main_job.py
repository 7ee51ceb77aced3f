"""Time of each stage of a full run by kind of work, with papermill's standard engine and with warm kernels.

    python benchmarks/main_job.py [--rounds 1] [--workers 1] [--engine warm] [-- OPTIONS OF MLNB RUN]

Runs the whole pipeline of this checkout under each engine in turn, and reads the times from the executed notebooks:
`ahead` before the stage began, while its inputs were computed, `start` until a cell begins (kernel, connection),
`imports` cells with imports, `examples` cells with examples and assertions of functions, `fitting` cells that fit
models or compute permutation importance, `cells` the other cells of the stage, `end` after the last cell (saving,
shutdown). `rest` is the time of the command outside its stages, negative when stages run in parallel. `not fitting` is
the wall time in which no cell was fitting a model.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MLNB = str(Path(sys.executable).with_name("mlnb"))
FITTING = ("tune", "fit_best", "predict_references", "permutation_importance")
COLUMNS = ("ahead", "start", "imports", "examples", "cells", "fitting", "end")


def kind(source: str) -> str:
    """Return which column a cell's time belongs to."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return "cells"
    called = {getattr(node.func, "id", getattr(node.func, "attr", "")) for node in ast.walk(tree) if is_call(node)}
    if called & set(FITTING) and "#| stage" in source:
        return "fitting"
    if any(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body):
        return "imports"
    return "cells" if "#|" in source or "run = " in source else "examples"


def is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def moment(text: str) -> float:
    """Return a time of a record or of papermill, in seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None).timestamp()


def spent(folder: Path, stage: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of one stage by column."""
    result = dict.fromkeys(COLUMNS, 0.0)
    cells = [c for c in json.loads((folder / stage["notebook"]).read_text())["cells"] if c["cell_type"] == "code"]
    timed = [(cell, cell["metadata"]["papermill"]) for cell in cells if cell["metadata"]["papermill"]["start_time"]]
    started = moment(stage["started"])
    for cell, about in timed:
        ahead = max(0.0, min(moment(about["end_time"]), started) - moment(about["start_time"]))
        result["ahead"] += ahead
        result[kind("".join(cell["source"]))] += max(0.0, about["duration"] - ahead)
    later = (moment(about["start_time"]) for _, about in timed if moment(about["end_time"]) > started)
    result["start"] = max(0.0, next(later) - started)
    result["end"] = moment(stage["finished"]) - moment(timed[-1][1]["end_time"])
    return result


def fitted(folder: Path, stages: list[dict[str, Any]]) -> float:
    """Return the seconds in which at least one cell fitted models."""
    spans = []
    for stage in stages:
        for cell in json.loads((folder / stage["notebook"]).read_text())["cells"]:
            about = cell["metadata"]["papermill"] if cell["cell_type"] == "code" else {}
            if about.get("start_time") and kind("".join(cell["source"])) == "fitting":
                spans.append((moment(about["start_time"]), moment(about["end_time"])))
    seconds = until = 0.0
    for begun, ended in sorted(spans):
        seconds += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return seconds


def run(engine: str, workers: int, options: list[str]) -> tuple[float, float, dict[str, dict[str, float]]]:
    """Run the job; return its wall seconds from the shell, those of fitting, and those of each stage by column."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run(
        [MLNB, "run", "--clean", "--workers", str(workers), *options],
        cwd=ROOT,
        env=environment | {"MLNB_KERNELS": engine},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    wall = time.perf_counter() - started
    folder = ROOT / "runs" / json.loads((ROOT / "runs" / "latest.json").read_text())["id"]
    record = json.loads((folder / "run.json").read_text())
    stages = {name: stage for name, stage in record["stages"].items() if stage["notebook"]}
    return wall, fitted(folder, list(stages.values())), {name: spent(folder, stage) for name, stage in stages.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="runs under each engine; the last is shown (default: 1)")
    parser.add_argument("--workers", type=int, default=1, help="stages at a time (default: 1, so that columns add up)")
    parser.add_argument("--engine", action="append", choices=("standard", "warm"), help="only this one")
    parser.add_argument("options", nargs="*", help="options of mlnb run, after --")
    args = parser.parse_args()
    for _ in range(args.rounds):
        result = {engine: run(engine, args.workers, args.options) for engine in args.engine or ("standard", "warm")}
    for engine, (wall, fitting, stages) in result.items():
        total = {column: sum(stage[column] for stage in stages.values()) for column in COLUMNS}
        total["rest"] = wall - sum(total.values()) + total["ahead"]
        print(f"\n{engine}: {wall:.1f} s from the shell, load {os.getloadavg()[0]:.1f}")
        print(f"{'':12}" + "".join(f"{column:>9}" for column in (*COLUMNS, "rest")))
        for name, seconds in {**stages, "all": total}.items():
            columns = [f"{seconds[c]:9.2f}" if c in seconds else "" for c in (*COLUMNS, "rest")]
            print(f"{name:12}" + "".join(columns))
        print(f"not fitting: {wall - fitting:.1f} s, {100 * (1 - fitting / wall):.0f} % of the time")
    if len(result) == 2:
        ratio = result["warm"][0] / result["standard"][0]
        print(f"\nthe job on warm kernels takes {ratio:.2f} of the standard engine's time")


if __name__ == "__main__":
    main()
