"""FLAML, LightGBM's defaults and AutoGluon as sides of `quality.py`, each from the training file to predictions."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CORES = int(os.environ.get("MLNB_BENCHMARK_CORES", "2"))  # of each side
METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


def latency(ask: Callable[[Any], Any], rows: list[Any]) -> float:
    """Return the median milliseconds of a prediction for one row."""
    times = []
    for row in rows:
        begun = time.perf_counter()
        ask(row)
        times.append(time.perf_counter() - begun)
    return float(np.median(times) * 1e3)


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
    names = None if task == "regression" else sorted(np.asarray(predictor.class_labels).tolist(), key=str)
    results = ask(judge) if names is None else ask(judge)[names]
    about = {"best": predictor.model_best}
    return {"seconds": took, "latency": latency(ask, rows), "about": about} | {
        "classes": names,
        "prediction": np.asarray(results),
    }
