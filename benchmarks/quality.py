"""Predictive quality with default settings: mlnb, FLAML and LightGBM on real data sets that need no download.

    python benchmarks/quality.py [--seconds 60] [--splits 1] [--sets diabetes,fair] [--data DIR] [--autogluon PYTHON]

Each set is cut once into a training and a test file (30 %, the seed of the split fixed), which all sides read. A side
runs in a separate process on the same cores with the same budget, from reading the file to a fitted model: mlnb by
the functions that its stages call, with type inference and the refit of the winner; FLAML and LightGBM with pandas.
Scored on the test file by the area under the ROC curve (binary), log loss (multiclass) or RMSE (values), whose ratio to
the best peer is averaged geometrically; the ranks of a set are ranks of its scores, equal when they differ by less than
one part in ten thousand. Worse beyond noise is worse than LightGBM's defaults in 95 % of 400 resamples of test rows.

--data: a folder with more sets as CSV files: titanic, horse-colic, mpg, housing, banknote_authentication; and any other
file with a column `target`.
--autogluon: the Python of an environment in which AutoGluon is installed; a column more.
FLAML comes with `pip install "mlnb[bench]"`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers.scoring import scored, worse_beyond_noise
from peers.tables import SETS, read_found

OVER = 10.0  # seconds that a side may take more than its budget
CORES = 2

METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def by_mlnb(train: Path, test: Path, task: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return prediction, classes and latency of what the stages would make."""
    begun = time.monotonic()
    from mlnb.methods.encoding.table_encoder import Encoder
    from mlnb.methods.models.fitted_models import predict
    from mlnb.methods.problem.problem_contract import state
    from mlnb.methods.tables.columns import to_arrays
    from mlnb.methods.tables.data_sources import read_table
    from mlnb.methods.training_data.data_splits import choose_kind, make_folds
    from mlnb.methods.training_data.training_examples import (
        fold_examples,
        learn_examples,
        objective,
        read_target,
        test_examples,
    )
    from mlnb.methods.tuning.hyperparameter_search import tune
    from mlnb.stages.split import plan_table
    from mlnb.stages.train import fit_best
    from mlnb.stages.validate import audit_table, type_table

    raw, provenance = read_table(str(train))
    problem = state(target="target", task=task, metric=METRIC[task])
    contract, schema, table, _ = type_table(raw, problem, provenance)
    schema, _, _ = audit_table(table, schema, contract, "keep")
    kind, _ = choose_kind(contract, schema)
    plan = plan_table(table, schema, contract)
    fold_of_row, _ = make_folds(table, contract, kind, plan.folds, seed, repeats=plan.repeats)
    y = read_target(contract, table)
    encoder = Encoder.fit(to_arrays(table, schema), schema, y, classes=len(contract.classes or ()))
    folds = fold_examples(contract, schema, encoder, table, fold_of_row)
    tuned = tune(
        folds,
        task,
        objective(contract),
        len(contract.classes or ()),
        trials=10_000,
        seconds=seconds - (time.monotonic() - begun),
        examples=len(table),
        seed=seed,
        threads=CORES,
        workers=CORES,
    )
    model = fit_best(tuned.best, contract, learn_examples(contract, schema, encoder, table), seed, CORES)
    took = time.monotonic() - begun
    both = pd.concat([raw, read_table(str(test))[0]], ignore_index=True)  # typed together, so that types agree
    present = type_table(both, problem, provenance)[2].iloc[len(raw) :].reset_index(drop=True)
    X = test_examples(contract, schema, encoder, table, present).X
    prediction = predict(model, X)
    classes = contract.classes
    rows = [X[i : i + 1] for i in range(min(50, len(X)))]
    members = [f"{m.weight:.2f} {m.family}" for m in tuned.best.members]
    about = {"trials": tuned.best.trials, "members": members, "cv": tuned.best.score}
    return {"seconds": took, "latency": latency(lambda row: predict(model, row), rows), "about": about} | {
        "classes": classes,
        "prediction": prediction,
    }


def frames(train: Path, test: Path) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Return training rows, their target and test rows, with words as categories."""
    learn, judge = pd.read_csv(train), pd.read_csv(test)
    y = learn.pop("target")
    judge = judge.drop(columns="target")
    for name in learn.columns:
        if not pd.api.types.is_numeric_dtype(learn[name]):
            levels = pd.CategoricalDtype(sorted(learn[name].dropna().astype(str).unique()))
            learn[name] = learn[name].astype(str).where(learn[name].notna()).astype(levels)
            judge[name] = judge[name].astype(str).where(judge[name].notna()).astype(levels)
    return learn, y, judge


def by_flaml(train: Path, test: Path, task: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return prediction, classes and latency of FLAML."""
    begun = time.monotonic()
    from flaml import AutoML

    X, y, judge = frames(train, test)
    names = None if task == "regression" else sorted(y.unique().tolist(), key=str)
    codes = y if names is None else y.map({name: code for code, name in enumerate(names)})
    automl = AutoML()
    automl.fit(
        X,
        codes,
        task="regression" if task == "regression" else "classification",
        metric=METRIC[task],
        time_budget=seconds - (time.monotonic() - begun),
        n_jobs=CORES,
        seed=seed,
        verbose=0,
    )
    took = time.monotonic() - begun
    ask = automl.predict if names is None else automl.predict_proba
    rows = [judge.iloc[i : i + 1] for i in range(min(50, len(judge)))]
    about = {"best": automl.best_estimator}
    return {"seconds": took, "latency": latency(ask, rows), "about": about} | {
        "classes": names,
        "prediction": np.asarray(ask(judge)),
    }


def by_lightgbm(train: Path, test: Path, task: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return prediction, classes and latency of LightGBM with its defaults."""
    begun = time.monotonic()
    import lightgbm

    X, y, judge = frames(train, test)
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    names = None if task == "regression" else sorted(y.unique().tolist(), key=str)
    codes = y if names is None else y.map({name: code for code, name in enumerate(names)})
    model = kind(random_state=seed, n_jobs=CORES, verbosity=-1).fit(X, codes)
    took = time.monotonic() - begun
    ask = model.predict if names is None else model.predict_proba
    rows = [judge.iloc[i : i + 1] for i in range(min(50, len(judge)))]
    return {"seconds": took, "latency": latency(ask, rows), "about": {}} | {
        "classes": names,
        "prediction": np.asarray(ask(judge)),
    }


def by_autogluon(train: Path, test: Path, task: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return prediction, classes and latency of AutoGluon, as it comes."""
    begun = time.monotonic()
    from autogluon.tabular import TabularPredictor

    learn, judge = pd.read_csv(train), pd.read_csv(test).drop(columns="target")
    metric = {"rmse": "root_mean_squared_error"}.get(METRIC[task], METRIC[task])
    position = str(train.parent / "autogluon-models")
    predictor = TabularPredictor("target", problem_type=task, eval_metric=metric, verbosity=0, path=position)
    predictor.fit(learn, time_limit=seconds - (time.monotonic() - begun), presets="best_quality", num_cpus=CORES)
    took = time.monotonic() - begun
    ask = predictor.predict if task == "regression" else predictor.predict_proba
    rows = [judge.iloc[i : i + 1] for i in range(min(10, len(judge)))]
    names = None if task == "regression" else sorted(predictor.class_labels, key=str)
    results = ask(judge) if names is None else ask(judge)[names]
    about = {"best": predictor.model_best}
    return {"seconds": took, "latency": latency(ask, rows), "about": about} | {
        "classes": names,
        "prediction": np.asarray(results),
    }


SIDES = {"mlnb": by_mlnb, "flaml": by_flaml, "lightgbm": by_lightgbm, "autogluon": by_autogluon}


def latency(ask: Callable[[Any], Any], rows: list[Any]) -> float:
    """Return the median milliseconds of a prediction for one row."""
    times = []
    for row in rows:
        begun = time.perf_counter()
        ask(row)
        times.append(time.perf_counter() - begun)
    return float(np.median(times) * 1e3)


def run_side(side: str, python: str, folder: Path, task: str, seconds: float, seed: int) -> dict[str, Any]:
    """Return the result of a side, from a separate process; {"error"} when it failed."""
    paths = [str(folder / "train.csv"), str(folder / "test.csv")]
    command = [python, __file__, "--one", side, *paths, task, str(seconds), str(seed), str(folder / side)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["OMP_NUM_THREADS"] = str(CORES)
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads((folder / f"{side}.json").read_text()) | {"prediction": np.load(folder / f"{side}.npy")}


def one(side: str, train: str, test: str, task: str, seconds: str, seed: str, out: str) -> int:
    """Run one side, and write its result."""
    results = SIDES[side](Path(train), Path(test), task, float(seconds), int(seed))
    np.save(f"{out}.npy", results.pop("prediction"))
    Path(f"{out}.json").write_text(json.dumps(results))
    return 0


def main() -> int:
    if sys.argv[1:2] == ["--one"]:
        return one(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of a side on a set (default: 60)")
    parser.add_argument("--splits", type=int, default=1, help="splits into training and test file (default: 1)")
    parser.add_argument("--sets", default="", help=f"of {','.join(SETS)} (default: all that can be read)")
    parser.add_argument("--sides", default="mlnb,flaml,lightgbm", help="what is compared (default: these three)")
    parser.add_argument("--data", default=os.environ.get("MLNB_DATA", ""), help="folder with more sets (MLNB_DATA)")
    parser.add_argument("--autogluon", default="", help="Python of an environment with AutoGluon")
    args = parser.parse_args()
    sides = dict.fromkeys(args.sides.split(","), sys.executable)
    if args.autogluon:
        sides["autogluon"] = args.autogluon
    ranks: dict[str, list[float]] = defaultdict(list)
    against: list[float] = []  # how much better than LightGBM's defaults, relative
    ratios: list[float] = []  # RMSE divided by that of the best peer
    late, worse = [], []
    print(f"{'set':15} {'rows':>6} {'metric':8} " + " ".join(f"{side:>32}" for side in sides))
    position = Path(args.data) if args.data else None
    sets = SETS | read_found(position)
    for name in args.sets.split(",") if args.sets else sets:
        task, read = sets[name]
        try:
            table = read(position)
        except (FileNotFoundError, ImportError) as error:
            print(f"{name:15} left out: {error}")
            continue
        for split in range(args.splits):
            held = np.random.default_rng(split).permutation(len(table)) < 0.3 * len(table)
            if task != "regression":  # classes that are too rare to be in both files
                counts = table["target"].map(table["target"].value_counts())
                table, held = table[counts >= 8], held[(counts >= 8).to_numpy()]
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                table[~held].to_csv(folder / "train.csv", index=False)
                table[held].to_csv(folder / "test.csv", index=False)
                truth = pd.read_csv(folder / "test.csv")["target"]
                results = {side: run_side(side, py, folder, task, args.seconds, split) for side, py in sides.items()}
            worst = 0.0 if task == "binary" else np.inf
            scores, cells = [], []
            for side, result in results.items():
                if "error" in result:
                    scores.append(worst)
                    cells.append(f"{result['error'][:32]:>32}")
                    continue
                scores.append(scored(task, truth, result, result["prediction"]))
                cells.append(f"{scores[-1]:>11.5f} {result['seconds']:6.1f} s {result['latency']:7.2f} ms")
                if result["seconds"] > args.seconds + OVER:
                    late.append(f"{name}: {side} took {result['seconds']:.1f} s")
            up = task == "binary"
            near = 1e-4 * np.abs(scores)
            better = [[(b - a if up else a - b) > tie for b in scores] for a, tie in zip(scores, near, strict=True)]
            equal = [[abs(b - a) <= tie for b in scores] for a, tie in zip(scores, near, strict=True)]
            indices = [1 + sum(line) + (sum(same) - 1) / 2 for line, same in zip(better, equal, strict=True)]
            for side, rank in zip(sides, indices, strict=True):
                ranks[side].append(rank)
            if {"mlnb", "lightgbm"} <= sides.keys():
                ours, theirs = (scores[list(sides).index(side)] for side in ("mlnb", "lightgbm"))
                loss = (1 - theirs, 1 - ours) if up else (theirs, ours)
                against.append((loss[0] - loss[1]) / loss[0] if loss[0] else 0.0)
                if loss[1] > loss[0] and not any("error" in results[side] for side in ("mlnb", "lightgbm")):
                    worse += [name] * worse_beyond_noise(task, truth, results["mlnb"], results["lightgbm"])
            named = dict(zip(sides, scores, strict=True))
            if task == "regression" and "mlnb" in named and len(named) > 1:
                ratios.append(named.pop("mlnb") / min(named.values()))
            places_said = " ".join(f"{position:g}" for position in indices)
            print(f"{name:15} {int((~held).sum()):>6} {METRIC[task]:8} " + " ".join(cells), "ranks", places_said)
            about = {side: results[side]["about"] for side in sides if results[side].get("about")}
            print(" " * 15, about, flush=True)
    print(
        "\nmean rank       " + " ".join(f"{side} {np.mean(results):.2f}" for side, results in ranks.items() if results)
    )
    if ratios:
        print(f"RMSE over the best peer's: geometric mean {np.exp(np.mean(np.log(ratios))):.3f}, {len(ratios)} sets")
    if against:
        print(f"less loss than LightGBM's defaults: mean {np.mean(against):.1%}, least {np.min(against):.1%}")
        print(f"worse than they are beyond noise: {', '.join(worse) or 'none'}")
    print("\n".join(late) or f"all within {args.seconds + OVER:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
