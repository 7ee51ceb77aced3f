"""Rows of a file scored: `mlnb score` against the usual scikit-learn pipeline over pandas chunks, on one core each.

    python benchmarks/batch.py [--rows 1000000] [--constant] [--family lightgbm] [--compiled on off numba]

The table has 20 columns: ten of numbers, eight of categories, a truth value and a date. Both sides read Parquet
and write Parquet; seconds are the processor's, and begin when libraries are imported and the pipeline is fitted, before
mlnb's model is loaded and compiled. The pipelines: imputing and scaling of numbers, imputing and one-hot coding of
categories, and mlnb's family of model with its defaults. Reading a file and writing ready predictions is measured
alone: it bounds every ratio. `--constant` also scores a quarter of the rows; `--compiled` is the ablation.

Nanoseconds a row of ten million, LightGBM, 395 in all: reading 105, trees 100, ranks and their copies 60, writing 45,
values of Arrow 25, compilation 12, checkpoints 15; of the pipeline 5,960.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from peers import figures

from mlnb.codec import encode
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.tasks.task_traits import Task
from mlnb.serving.batch import ARROW_MEMORY

LEVELS = (3, 5, 8, 10, 12, 16, 40, 100)
CHUNK = 50_000  # rows of a pandas chunk, and of a row group
TRAINING = 20_000
COMPILED = ("on", "off", "numba")
FAMILIES = ("lightgbm", "hist_gradient_boosting", "random_forest", "linear")


def make_rows(count: int, seed: int) -> pd.DataFrame:
    """Return rows of the table."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"n{j}": rng.normal(size=count) for j in range(10)}
    for j, levels in enumerate(LEVELS):
        columns[f"c{j}"] = np.array([f"level {k}" for k in range(levels)])[rng.integers(0, levels, count)]
    columns["b"] = rng.random(count) < 0.5
    columns["d"] = np.datetime64("2020-01-01", "us") + rng.integers(0, 1000, count) * np.timedelta64(86_400_000_000)
    columns["n0"][::11] = np.nan
    return pd.DataFrame(columns)


def make_target(table: pd.DataFrame) -> np.ndarray:
    """Return the classes 0 and 1 of rows."""
    noise = np.random.default_rng(5).normal(size=len(table))
    return ((table["n1"] + table["n2"] * table["n3"] + (table["c0"] == "level 1") + noise) > 0).to_numpy().astype(int)


def make_model(folder: Path, family: str, training: pd.DataFrame, y: np.ndarray) -> None:
    """Write a bundle's model folder: mlnb's encoder and a model with the parameters of the library's defaults."""
    import lightgbm
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    from mlnb.methods.encoding.table_encoder import Encoder
    from mlnb.methods.models.fitted_models import Model, predict, save_model
    from mlnb.methods.models.model_families import fit_model
    from mlnb.methods.models.search_spaces import default_params
    from mlnb.methods.models.tree_conversion import to_lightgbm
    from mlnb.methods.tables.columns import Column, Schema, to_arrays
    from mlnb.methods.tasks.responders import respond

    kinds = {"n": "number", "c": "category", "b": "boolean", "d": "date"}
    schema = Schema(tuple(Column(name, kinds[name[0]]) for name in training.columns), len(training))
    arrays = to_arrays(training, schema)
    encoder = Encoder.fit(arrays, schema, y, classes=2)
    X = encoder.transform(arrays)
    if family == "linear":
        model = fit_model(family, default_params(family), X, y, "binary", 2, threads=1)
    else:
        if family == "lightgbm":
            native = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1).fit(X, y).booster_
        else:
            fitted = (
                HistGradientBoostingClassifier if family == "hist_gradient_boosting" else RandomForestClassifier
            )()
            native = lightgbm.Booster(model_str=to_lightgbm(fitted.fit(np.nan_to_num(X), y)))
        model = Model(family, "binary", 2, X.shape[1], native)
    contract = ProblemContract(task=Task.BINARY, target="y", classes=("no", "yes"))
    head = training.head(20)
    responses = respond(predict(model, encoder.transform(to_arrays(head, schema))), contract)
    rows = json.loads(head.to_json(orient="records", date_format="iso", double_precision=15))
    rows = [
        {k: head[k].iloc[i].item() if k[0] == "n" and v is not None else v for k, v in row.items()}
        for i, row in enumerate(rows)
    ]
    folder.mkdir(parents=True)
    (folder / "contract.json").write_bytes(encode(contract))
    (folder / "golden.json").write_bytes(encode(Golden(rows=rows, predictions=to_wire(responses))))
    for name, value in {"schema": schema.to_json(), "encoder": encoder.to_json()}.items():
        (folder / f"{name}.json").write_text(json.dumps(value), "utf-8")
    (folder / "version.txt").write_text("bench:1\n")
    save_model(model, folder / "fitted")


def make_pipeline(family: str, training: pd.DataFrame, y: np.ndarray) -> Any:
    """Return the usual pipeline, fitted."""
    import lightgbm
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline as pipe
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name in training.columns if name[0] in "nb"]
    categories = [name for name in training.columns if name[0] == "c"]
    coded = OneHotEncoder(handle_unknown="ignore", sparse_output=family != "hist_gradient_boosting")
    steps = [
        ("numbers", pipe(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ("categories", pipe(SimpleImputer(strategy="most_frequent"), coded), categories),
    ]
    models = {
        "lightgbm": lightgbm.LGBMClassifier(n_jobs=1, verbose=-1),
        "hist_gradient_boosting": HistGradientBoostingClassifier(),
        "random_forest": RandomForestClassifier(),
        "linear": LogisticRegression(max_iter=1000),
    }
    return pipe(ColumnTransformer(steps), models[family]).fit(training, y)


def by_pipeline(family: str, source: Path, out: Path, training: pd.DataFrame) -> None:
    """Score a file in chunks of pandas."""
    import warnings

    warnings.simplefilter("ignore")
    pipeline = make_pipeline(family, training, make_target(training))
    start_clock()
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(CHUNK):
        table = pa.table({"p": pipeline.predict_proba(batch.to_pandas())[:, 1]})
        writer = writer or pq.ParquetWriter(out, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def by_mlnb(source: Path, out: Path, model: Path, compiled: str) -> None:
    """Score a file as `mlnb score` does with one worker."""
    from mlnb.serving.batch.batch_job import COMPILE_AFTER, JobOptions, run_job
    from mlnb.serving.runtime.row_scorers import import_lightgbm_alone

    if compiled == "numba":
        from peers.numba_trees import replace_llvm

        replace_llvm()
    import_lightgbm_alone()
    start_clock()
    compile_after = None if compiled == "off" else COMPILE_AFTER
    run_job(JobOptions([str(source)], str(out), model, "bench:1", compile_after=compile_after), out.parent / "scratch")


def by_reading(source: Path, out: Path, model: Path) -> None:
    """Read a file and write predictions as `mlnb score` does, without computing them."""
    from mlnb.serving.batch import batch_job
    from mlnb.serving.batch.batch_scorer import ScoredTable, Scorer
    from mlnb.serving.runtime.row_scorers import import_lightgbm_alone

    p = np.random.default_rng(0).random(CHUNK)
    names = pa.array(["no", "yes"])

    class ConstantScorer(Scorer):
        """Returns predictions that are already there."""

        def score(self, table: pa.Table, first: int, text: bool) -> ScoredTable:
            count = len(table)
            chosen = pa.DictionaryArray.from_arrays(pa.array((p[:count] > 0.5).astype(np.int32)), names)
            output = {"row": pa.array(np.arange(first, first + count)), "prediction": chosen}
            output |= {"probability no": pa.array(1.0 - p[:count]), "probability yes": pa.array(p[:count])}
            return ScoredTable(count, pa.table(output), [])

        def _respond(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return json.loads((model / "golden.json").read_text())["predictions"]

    import_lightgbm_alone()
    start_clock()
    vars(batch_job)["Scorer"] = ConstantScorer
    batch_job.run_job(batch_job.JobOptions([str(source)], str(out), model, "bench:1"), out.parent / "scratch")


def start_clock() -> None:
    """Note the processor's time before the file is opened."""
    global started
    started = time.process_time()


started = 0.0


def measure(way: str, family: str, source: Path, folder: Path, compiled: str = "on") -> tuple[float, float]:
    """Return the processor's seconds and the most megabytes of a new process on one core that scores the file."""
    arguments = ["--way", way, "--family", family, "--source", str(source), "--folder", str(folder)]
    arguments += ["--compiled", compiled]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    one |= {} if way == "pipeline" else ARROW_MEMORY  # pyarrow is imported first here, unlike in `mlnb score`
    environment = os.environ | one | {"NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, __file__, *arguments], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    measured = json.loads(done.stdout.splitlines()[-1])
    return measured["seconds"], measured["megabytes"]


def run_way(way: str, family: str, source: Path, folder: Path, compiled: str) -> int:
    """Score in this process, and print what it took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    out = folder / f"{way}-{family}.parquet"
    if way == "reading":
        by_reading(source, out, folder / family)
    elif way == "mlnb":
        by_mlnb(source, out, folder / family, compiled)
    else:
        by_pipeline(family, source, out, pd.read_parquet(folder / "training.parquet"))
    seconds = time.process_time() - started
    print(json.dumps({"seconds": seconds, "megabytes": read_peak()}))
    return 0


def read_peak() -> float:
    """Return the peak memory of this process in megabytes, without its parent's where the system separates them."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024


def main() -> int:
    """Measure the pipeline and mlnb with each family, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--constant", action="store_true", help="score a quarter of the rows too")
    parser.add_argument("--way", choices=["mlnb", "pipeline", "reading"], help=argparse.SUPPRESS)
    parser.add_argument("--family", choices=FAMILIES, help="this one alone")
    parser.add_argument("--compiled", nargs="+", choices=COMPILED, default=["on"], help="the ablation")
    for name in ("--source", "--folder"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    figures.add_json(parser)
    options = parser.parse_args()
    if options.way:
        paths = Path(options.source), Path(options.folder)
        return run_way(options.way, options.family, *paths, options.compiled[0])
    folder, measured = Path(tempfile.mkdtemp(prefix="mlnb-batch-")), list[figures.Figure]()
    try:
        training = make_rows(TRAINING, 0)
        training.to_parquet(folder / "training.parquet")
        sources = {"rows": options.rows} | ({"quarter": options.rows // 4} if options.constant else {})
        for name, count in sources.items():
            source = folder / f"{name}.parquet"
            with pq.ParquetWriter(source, pa.Schema.from_pandas(training)) as writer:
                for number, first in enumerate(range(0, count, CHUNK)):
                    rows = make_rows(min(CHUNK, count - first), 1 + number)
                    writer.write_table(pa.Table.from_pandas(rows, writer.schema))
        print(
            f"{options.rows:,} rows of {len(training.columns)} columns, one core; microseconds of the processor a row\n"
        )
        source = folder / "rows.parquet"
        for number, family in enumerate(FAMILIES if options.family is None else [options.family]):
            make_model(folder / family, family, training, make_target(training))
            if not number:
                least = min(measure("reading", family, source, folder)[0] for _ in range(2))  # the first fills caches
                print(f"reading and writing alone: {1e6 * least / options.rows:.2f} µs\n")
            usual, usual_peak = measure("pipeline", family, source, folder)
            print(f"{family:14} pipeline {1e6 * usual / options.rows:7.2f} µs a row, {usual_peak:.0f} MB at most")
            for compiled in options.compiled:
                work = f"batch, {options.rows:,} rows, against {family} in a pipeline over pandas"
                ours, peak = measure("mlnb", family, source, folder, compiled)
                print(
                    f"{'':14} mlnb score, compiled {compiled:6} {1e6 * ours / options.rows:6.2f} µs a row, "
                    f"{usual / ours:5.1f} times (at most {usual / least:.1f}), {peak:.0f} MB at most",
                    flush=True,
                )
                if (family, compiled) == ("lightgbm", "on"):
                    note = f"processor time; reading and writing alone allow {usual / least:.1f}"
                    measured.append(figures.Figure(work, usual / ours, 15.0, at_least=True, note=note))
            if options.constant:
                _, less = measure("mlnb", family, folder / "quarter.parquet", folder)
                print(f"{'':14} a quarter of the rows: {less:.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures.write(options.json, measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
