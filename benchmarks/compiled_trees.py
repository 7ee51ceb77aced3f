"""Compiled trees: LLVM IR against LightGBM's own prediction, and against numba as another way to generate code.

    python benchmarks/compiled_trees.py [--rows 50000] [--family lightgbm]

Each side scores the same encoded rows of `benchmarks/batch.py` on one core, in a separate process, and has to give
the same bits. `ready` is the processor's time until the first table is scored, less the time for a table: layout,
import of llvmlite or numba, compilation; every worker process of a job spends it. numba is measured with an empty
cache on disk and with a full one. `row` is the best of several rounds after that. Without numba, which is in the set
`bench`, its lines are left out.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
from batch import TRAINING, make_model, make_rows, make_target

SIDES = ("lightgbm", "llvm", "numba, empty cache", "numba, full cache")
FAMILIES = ("lightgbm", "random_forest")
ROUNDS = 9


class Clock:
    """The processor's seconds of parts of the work."""

    def __init__(self) -> None:
        self.seconds, self.started = 0.0, 0.0

    def __enter__(self) -> None:
        self.started = time.process_time()

    def __exit__(self, *error: object) -> None:
        self.seconds += time.process_time() - self.started


def score_rows(side: str, folder: Path, rows: int) -> dict[str, float | str]:
    """Return seconds until ready and per row, and a digest of the predictions."""
    from mlnb.serving.batch.batch_scorer import Scorer
    from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees, choose_layout, find_exp
    from mlnb.serving.edge.lightgbm_text import read_booster

    scorer = Scorer(folder, compile_after=None)
    columns = scorer._read(pa.Table.from_pandas(make_rows(rows, 1)), text=False)
    encoded = scorer._encode(columns, np.arange(rows))
    if side == "lightgbm":
        with (clock := Clock()):
            predictions = scorer._predict_original(encoded, rows)
        return {"ready": 0.0, "row": clock.seconds / rows, "digest": digest(predictions)}
    ready = Clock()
    with ready:
        boosted = read_booster((folder / "fitted" / "model.txt").read_text())
        layout = choose_layout(boosted)
        assert layout is not None
    arguments = boosted, layout, [column.width for column in encoded], find_exp() or 0
    if side == "llvm":
        with ready:
            trees = CompiledTrees(*arguments)
            trees.score(encoded, rows)
    else:
        trees = CompiledTrees(*arguments)
        with ready:
            from peers.numba_trees import NumbaTrees

            trees.score = NumbaTrees(trees).score  # type: ignore[method-assign]
            trees.score(encoded, rows)
    rounds = []
    for _ in range(ROUNDS):
        with (clock := Clock()):
            trees.score(encoded, rows)
        rounds.append(clock.seconds)
    seconds = {"ready": ready.seconds - min(rounds), "row": min(rounds) / rows}
    return {**seconds, "digest": digest(trees.predict(encoded, rows, "binary"))}


def digest(predictions: np.ndarray) -> str:
    """Return a digest of all bits."""
    return hashlib.sha256(np.ascontiguousarray(predictions).tobytes()).hexdigest()


def measure(side: str, folder: Path, rows: int) -> dict[str, float | str]:
    """Return what a new process on one core measures."""
    arguments = ["--side", side, "--folder", str(folder), "--rows", str(rows)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | one | {"NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, __file__, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    measured: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> int:
    """Measure all sides with both kinds of trees, and print ratios; 1 if bits differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--family", choices=FAMILIES, help="this one alone")
    for name in ("--side", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print(json.dumps(score_rows(options.side, Path(options.folder), options.rows)))
        return 0
    folder = Path(tempfile.mkdtemp(prefix="mlnb-compiled-"))
    try:
        training = make_rows(TRAINING, 0)
        different = False
        for family in FAMILIES if options.family is None else [options.family]:
            make_model(folder / family, family, training, make_target(training))
            sides = [side for side in SIDES if find_spec("numba") or not side.startswith("numba")]
            results = {side: measure(side, folder / family, options.rows) for side in sides}
            for side, result in results.items():
                row, ready = float(result["row"]), float(result["ready"])
                compared = float(results["llvm"]["row"]) / row
                same = result["digest"] == results["lightgbm"]["digest"]
                different |= not same
                print(
                    f"{family:14} {side:18} {1e6 * row:7.3f} µs a row ({compared:5.2f} of LLVM's speed), "
                    f"ready after {ready:5.2f} s, {'same bits' if same else 'OTHER BITS'}",
                    flush=True,
                )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
