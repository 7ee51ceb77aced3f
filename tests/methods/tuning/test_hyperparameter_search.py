"""Hyperparameter search: resumed and warm-started studies, time budgets and invalid settings."""

import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_wine

from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.hyperparameter_search import best_line, tune
from mlnb.methods.tuning.model_selection import TuningResult
from mlnb.methods.tuning.study_storages import journal_url, open_storage
from mlnb.methods.tuning.trial_proposals import warm_start_trials

SETTINGS: dict[str, Any] = {
    "task": "multiclass",
    "metric": "log_loss",
    "classes": 3,
    "families": ["linear", "knn", "baseline"],
}


@pytest.fixture(scope="module")
def folds() -> list[Fold]:
    X, y = load_wine(return_X_y=True)
    at = np.arange(len(y)) % 3
    rows = [np.flatnonzero(at == f) for f in range(3)]
    return [Fold(X[at != f, :4], y[at != f], X[at == f, :4], y[at == f], rows=rows[f]) for f in range(3)]


@pytest.fixture(scope="module")
def tuned(folds: list[Fold]) -> TuningResult:
    return tune(folds, trials=10, **SETTINGS)


def test_trial_of_a_dead_process_is_repeated(folds: list[Fold], tuned: TuningResult, tmp_path: Path) -> None:
    storage, stored = journal_url(tmp_path / "study.log"), tmp_path / "predictions"
    tune(folds, trials=7, storage=storage, folder=stored, **SETTINGS)
    with open_storage(storage) as opened:
        study = optuna.load_study(study_name=None, storage=opened)
        study.ask().set_user_attr("worker", f"{socket.gethostname()}:999999999:1")
    resumed = tune(folds, trials=10, storage=storage, folder=stored, **SETTINGS)
    assert resumed.trials.equals(tuned.trials) and resumed.best == tuned.best
    assert tune(folds, trials=10, storage=storage, **SETTINGS).best == tuned.best  # predictions are computed again
    assert len(tune(folds, trials=3, storage=storage, **SETTINGS).trials) == 10  # nothing is left to do


def test_warm_start_is_part_of_the_study(folds: list[Fold], tuned: TuningResult, tmp_path: Path) -> None:
    warm, storage = warm_start_trials(tuned.best, tuned.trials, "wine:1"), journal_url(tmp_path / "study.log")
    started = tune(folds, trials=8, storage=storage, warm=warm, **SETTINGS)
    with open_storage(storage) as opened:
        trials = optuna.load_study(study_name=None, storage=opened).trials
    origins = [trial.user_attrs.get("origin", "") for trial in trials]
    winner = tuned.trials.set_index("number").loc[tuned.best.number]
    columns = ["family", "params", "score"]
    assert started.trials[columns].iloc[0].tolist() == winner[columns].tolist()
    assert started.trials["origin"].tolist() == origins and 2 <= sum(name != "" for name in origins) <= 4
    assert (tuned.trials["origin"] == "").all()


def test_budget_in_seconds(folds: list[Fold]) -> None:
    ticks = iter(range(10_000))
    timed = tune(folds, trials=500, seconds=300, clock=lambda: float(next(ticks)), **SETTINGS)
    assert timed.best.stopped_by == "seconds" and 0 < timed.best.trials < 500
    started = time.monotonic()
    hurried = tune(folds, trials=500, seconds=0.01, **{**SETTINGS, "families": ["lightgbm"]})
    assert 0 < hurried.best.trials < 5 and time.monotonic() - started < 5


def test_no_trial_yet() -> None:
    assert best_line({}, "log_loss") == "no trial finished yet"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "rmse"}, "suits multiclass"),
        ({"trials": 0}, "found 0 trials"),
        ({"class_weight": "heavy"}, "'heavy'"),
        ({"storage": "nosuch://x"}, "nosuch:… that cannot be opened"),
    ],
)
def test_invalid_settings(folds: list[Fold], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tune(folds, **{**SETTINGS, **settings})


def test_undefined_metric() -> None:
    lonely = [Fold(np.ones((4, 1)), np.array([0, 1, 0, 1]), np.ones((2, 1)), np.array([1, 1]))]
    with pytest.raises(ValueError, match="undefined in every fold"):
        tune(lonely, "binary", "roc_auc", 2, ["linear"], trials=2)
