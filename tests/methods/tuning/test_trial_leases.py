"""Leases of trials in a PostgreSQL database: a lost machine's trials run again, and the study is the same."""

import threading
from collections.abc import Iterator

import numpy as np
import optuna
import pytest
from database_server import run_postgresql

from mlnb import leases
from mlnb.methods.contracts.candidates import TrialScores
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning import studies
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.studies import (
    enqueue_trial,
    finished_trials,
    open_study,
    open_trials,
    report_trial,
    take_trial,
)
from mlnb.methods.tuning.study_storages import open_storage
from mlnb.methods.tuning.trial_leases import TrialLeases

TRIALS = 5


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The URL of a server that ends with the tests of this file."""
    with run_postgresql() as (url, _):
        yield url.replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(autouse=True)
def short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEW_SECONDS", 0.5)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 2)
    monkeypatch.setattr(studies, "is_dead", lambda worker: not worker)  # processes of other machines


def search(storage: str | None, stop: int = 0, **options):
    """A small study; with `stop`, its machine is lost after that number of trials."""
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 3))
    y = (X[:, 0] + random.normal(0, 0.5, 60) > 0).astype(int)
    folds = [Fold(X[k::2], y[k::2], X[1 - k :: 2], y[1 - k :: 2]) for k in range(2)]

    def lost(done: int, total: int, text: str) -> None:
        if done == stop:
            raise ConnectionAbortedError

    settings = {"families": ["linear", "knn"], "trials": TRIALS, "seed": 5, "threads": 1, "workers": 2, **options}
    return tune(folds, "binary", "roc_auc", 2, storage=storage, progress=lost, **settings)


def test_the_trials_of_a_lost_host_run_again_on_another_one(database: str) -> None:
    alone = search(None, workers=1)
    with pytest.raises(ConnectionAbortedError):
        search(database, stop=1)  # leaves trials that are running
    with open_storage(database) as storage:
        (left,) = optuna.get_all_study_summaries(storage)
        running = optuna.load_study(study_name=left.study_name, storage=storage).get_trials(
            states=(optuna.trial.TrialState.RUNNING,)
        )
    result = search(database, workers=1)
    assert running and result.trials.equals(alone.trials) and result.best == alone.best
    assert result.predictions.tobytes() == alone.predictions.tobytes()
    with open_storage(database) as storage:
        study = optuna.load_study(study_name=left.study_name, storage=storage)
        assert all(study.trials[trial.number].state == optuna.trial.TrialState.FAIL for trial in running)
        counted = [trial for trial in study.trials if trial.state != optuna.trial.TrialState.FAIL]
        assert sorted(trial.user_attrs["index"] for trial in counted) == list(range(TRIALS))  # none lost or doubled


def test_a_renewed_lease_stays_and_a_late_report_is_rejected(database: str) -> None:
    with open_storage(database) as storage:
        study = open_study(storage, "late", "minimize")
        with TrialLeases(storage) as held:
            enqueue_trial(study, 0, "baseline", {}, "none", True, ["baseline"])
            trial = take_trial(study, held)
            threading.Event().wait(2.5)  # longer than a lease
            assert open_trials(study, held) == {0}
        trial.set_user_attr("scores", {"score": 0.1})  # and its process is stopped here
        threading.Event().wait(2.5)
        assert open_trials(study, TrialLeases(storage)) == set() and finished_trials(study) == {}
        report_trial(study, trial, "complete", TrialScores(score=0.1))
        assert finished_trials(study) == {}
        enqueue_trial(study, 0, "baseline", {}, "none", True, ["baseline"])
        report_trial(study, take_trial(study), "complete", TrialScores(score=0.5))
        assert finished_trials(study)[0].score == 0.5
