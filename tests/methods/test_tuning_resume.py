"""Tuning: a study whose process is killed continues with the same result."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import optuna
import pytest

from mlnb.methods.models.fitted_models import save_model
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.studies import open_trials, worker_name
from mlnb.methods.tuning.study_storages import journal_url, open_storage

TRIALS = 12
SEARCH = """
import sys
sys.path.insert(0, sys.argv[2])
from test_tuning_resume import search
search(sys.argv[1], progress=lambda done, total, text: print(done, flush=True), pause=0.05)
"""


def folds():
    """Three folds of a noisy line and a noisy circle."""
    random = np.random.default_rng(0)
    X = random.normal(size=(180, 4))
    y = (X[:, 0] + X[:, 1] ** 2 + random.normal(0, 0.5, 180) > 1).astype(int)
    fold_of_row = np.arange(180) % 3
    return [Fold(X[fold_of_row != f], y[fold_of_row != f], X[fold_of_row == f], y[fold_of_row == f]) for f in range(3)]


def search(storage=None, progress=None, pause=0.0, **options):
    """The study of this test; `pause` slows each trial, so that a kill is likely to meet one running."""
    if pause:
        from mlnb.methods.tuning import trials

        fit = trials.fit_model

        def slow(*arguments, **named):
            time.sleep(pause)
            return fit(*arguments, **named)

        trials.fit_model = slow
    settings = {
        "families": ["linear", "knn", "lightgbm"],
        "trials": TRIALS,
        "seed": 5,
        "threads": 1,
        "workers": 1,
        **options,
    }
    return tune(folds(), "binary", "roc_auc", 2, storage=storage, progress=progress, **settings)


@pytest.fixture(scope="module")
def uninterrupted():
    """The study that nobody disturbed."""
    return search()


@pytest.mark.parametrize(("url", "finished", "delay"), [("sqlite:///{}/s", 1, 0.02), ("journal:///{}/s", 7, 0.05)])
def test_a_killed_and_resumed_study_equals_an_uninterrupted_one(uninterrupted, tmp_path, url, finished, delay):
    storage = url.format(tmp_path)
    run = [sys.executable, "-c", SEARCH, storage, os.path.dirname(__file__)]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if int(line) == finished:
                break
        time.sleep(delay)  # the kill meets another step of the next trial
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done: list[int] = []
    resumed = search(storage, progress=lambda number, total, text: done.append(number))
    assert done and done[0] > finished  # what was finished was not done again
    assert resumed.trials.equals(uninterrupted.trials)
    assert resumed.best == uninterrupted.best
    with open_storage(storage) as opened:
        study = optuna.load_study(study_name=None, storage=opened)
        assert not study.get_trials(states=(optuna.trial.TrialState.RUNNING,))


def test_workers_and_processes_share_one_reproducible_study(uninterrupted, tmp_path):
    assert search(workers=3).trials.equals(uninterrupted.trials)
    storage = journal_url(tmp_path / "study.log")
    run = [sys.executable, "-c", SEARCH, storage, os.path.dirname(__file__)]
    others = [subprocess.Popen(run, stdout=subprocess.PIPE, text=True)]
    assert others[0].stdout.readline()  # it has finished a trial: there is something to share
    others.append(subprocess.Popen(run, stdout=subprocess.PIPE, text=True))
    mine = search(storage, workers=2)
    for process in others:
        process.communicate()
    assert [process.returncode for process in others] == [0, 0]
    assert mine.trials.equals(uninterrupted.trials) and mine.best == uninterrupted.best
    assert mine.predictions.tobytes() == uninterrupted.predictions.tobytes()


def test_a_trial_abandoned_before_it_has_a_worker_is_tried_again(uninterrupted, tmp_path, monkeypatch):
    """Another process that meets a trial between `ask` and the name of its worker takes it for a killed one's."""
    ask, met = optuna.Study.ask, []

    def ask_and_be_met(study, *arguments, **named):
        trial = ask(study, *arguments, **named)
        if trial.number in (2, 5) and not met.append(trial.number):
            open_trials(study)
        return trial

    monkeypatch.setattr(optuna.Study, "ask", ask_and_be_met)
    storage = f"sqlite:///{tmp_path}/study.db"
    assert search(storage, trials=6).trials.equals(uninterrupted.trials[:6]) and met == [2, 5]
    with open_storage(storage) as opened:
        study = optuna.load_study(study_name=None, storage=opened)
        assert [trial.number for trial in study.get_trials(states=(optuna.trial.TrialState.FAIL,))] == [2, 5]


def test_one_worker_and_two_write_equal_model_files(tmp_path):
    files = []
    for workers in (1, 2):
        result = search(families=["lightgbm", "linear", "extra_trees", "mlp"], trials=9, workers=workers, threads=2)
        rows = folds()[0]
        model = fit_winner(result.best, "binary", 2, "roc_auc", rows.X, rows.y, seed=5, threads=workers)
        folder = save_model(model, tmp_path / str(workers))
        files.append({str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()})
    assert files[0] == files[1]


def test_one_worker_and_two_get_equal_results_on_repeated_folds(tmp_path):
    random = np.random.default_rng(1)
    X = random.normal(size=(150, 4))
    y = X[:, 0] + X[:, 1] ** 2 + random.normal(0, 0.5, 150)
    repeated = []
    for fold_of_row in (np.arange(150) % 3, random.permutation(150) % 3):
        parts = [np.flatnonzero(fold_of_row == part) for part in range(3)]
        repeated += [Fold(np.delete(X, p, 0), np.delete(y, p), X[p], y[p], rows=p) for p in parts]
    outcomes = []
    for workers in (1, 2):
        options = {"families": ["lightgbm", "linear", "extra_trees", "mlp"], "trials": 8, "seed": 3}
        result = tune(repeated, "regression", "rmse", workers=workers, threads=workers, **options)
        model = fit_winner(result.best, "regression", 0, "rmse", X, y, seed=3, threads=workers)
        folder = save_model(model, tmp_path / str(workers))
        files = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
        outcomes.append((result.trials.to_json(), result.best, result.predictions.tobytes(), files))
    assert outcomes[0] == outcomes[1] and len(outcomes[0][1].fold_scores) == 6


def test_a_budget_of_one_second_gives_a_result(tmp_path):
    begun = time.monotonic()
    result = search(trials=1000, seconds=1.0, families=["lightgbm"])
    assert time.monotonic() - begun < 10 and result.best.stopped_by == "seconds"


def test_more_trials_continue_a_study(uninterrupted, tmp_path):
    storage = journal_url(tmp_path / "study.log")
    search(storage, trials=6)
    done: list[int] = []
    assert search(storage, progress=lambda number, *_: done.append(number)).trials.equals(uninterrupted.trials)
    assert done == list(range(7, TRIALS + 1))


def test_other_settings_are_another_study_in_the_same_storage(uninterrupted, tmp_path):
    storage = journal_url(tmp_path / "study.log")
    other = search(storage, trials=5, seed=6)
    same = search(storage, trials=5)
    assert same.trials.equals(uninterrupted.trials[:5])
    with open_storage(storage) as opened:
        assert len(other.trials) == 5 and len(optuna.get_all_study_names(opened)) == 2


def test_a_trial_of_a_living_process_is_left_alone(tmp_path):
    storage = journal_url(tmp_path / "study.log")
    search(storage, trials=2)
    with open_storage(storage) as opened:
        study = optuna.load_study(study_name=None, storage=opened)
        study.ask().set_user_attr("worker", worker_name())
        search(storage, trials=3)
        states = [trial.state.name for trial in study.get_trials()]
    assert states.count("RUNNING") == 1 and len(states) == 4


def test_random_search_is_repeatable_too():
    assert search(sampler="random", trials=5).trials.equals(search(sampler="random", trials=5).trials)


def test_class_weights_are_searched_when_requested():
    result = search(class_weight="tuned", trials=16).trials["class_weight"]
    assert set(result) == {"none", "balanced"}
    assert set(search(class_weight="balanced", trials=3).trials["class_weight"]) == {"balanced"}
