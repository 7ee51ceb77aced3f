"""Models: the same fit gives the same bytes in every process; loaded equals fitted; a row alone equals the batch."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlnb.methods.models.fitted_models import load_model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import FAMILIES

QUICK = {
    "lightgbm": {"rounds": 15, "bags": 2, "min_child_samples": 5, "bagging_fraction": 0.7, "feature_fraction": 0.8},
    "linear": {"alpha": 0.5},
    "random_forest": {"n_estimators": 12, "max_features": 0.5},
    "extra_trees": {"n_estimators": 12, "max_features": 0.5},
    "hist_gradient_boosting": {"max_iter": 12, "max_features": 0.8},
    "mlp": {"width": 8, "learning_rate": 0.01, "alpha": 0.01, "quantile_transform": 1, "bags": 2},
    "knn": {"n_neighbors": 5, "power": 1.0},
    "rbf_kernel": {"gamma": 0.5, "alpha": 0.01, "quantile_transform": 1},
    "baseline": {},
}
TASKS = {"binary": 2, "multiclass": 3, "regression": 0}
WRITE = """
import sys, pathlib, numpy as np
folder, litter = pathlib.Path(sys.argv[1]), int(sys.argv[2])
rubbish = [bytes([litter % 256]) * (64 * (1 + i % 200)) for i in range(litter * 1000)]
del rubbish  # so that uninitialised memory differs between the processes
sys.path.insert(0, sys.argv[3])
from test_models_deterministic import QUICK, TASKS, fitted
from mlnb.methods.models.fitted_models import save_model
for task in TASKS:
    for family in QUICK:
        save_model(fitted(family, task), folder / task / family)
"""
IMPORTS = """
import sys
from pathlib import Path
import numpy as np
for name in sys.argv[2:]:
    sys.modules[name] = None  # importing it raises ImportError
from mlnb.methods.models.fitted_models import load_model, predict
print(predict(load_model(Path(sys.argv[1])), np.linspace(-2, 2, 24).reshape(4, 6)).tobytes().hex())
"""


def rows(count=150, seed=0):
    """Six columns, some values missing."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(count, 6))
    X[random.random(X.shape) < 0.05] = np.nan
    return X


def fitted(family, task):
    """A small model of the family."""
    X = rows()
    signal = np.nan_to_num(X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3])
    y = signal if task == "regression" else np.digitize(signal, [0.0] if task == "binary" else [-0.7, 0.7])
    return fit_model(family, QUICK[family], X, y, task, TASKS[task], seed=3, threads=1)


@pytest.fixture(scope="module")
def models():
    """Every family for every task."""
    return {(family, task): fitted(family, task) for family in FAMILIES for task in TASKS}


def files_of(folder):
    """Relative path -> bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_two_processes_write_the_same_bytes(tmp_path):
    written = []
    for index, (hash_seed, litter) in enumerate((("1", "1"), ("977", "7"))):
        folder = tmp_path / str(index)
        run = [sys.executable, "-W", "error", "-c", WRITE, str(folder), litter, os.path.dirname(__file__)]
        subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": hash_seed}, check=True)
        written.append(files_of(folder))
    assert written[0].keys() == written[1].keys() and len(written[0]) >= 3 * len(FAMILIES)
    assert [name for name in written[0] if written[0][name] != written[1][name]] == []


@pytest.mark.parametrize("task", list(TASKS))
@pytest.mark.parametrize("family", FAMILIES)
def test_loaded_predicts_as_fitted_and_saves_the_same_bytes(models, tmp_path, family, task):
    model, X = models[family, task], rows(200, seed=1)
    loaded = load_model(save_model(model, tmp_path / "a"))
    assert predict(loaded, X).tobytes() == predict(model, X).tobytes()
    assert files_of(save_model(loaded, tmp_path / "b")) == files_of(tmp_path / "a")


@settings(max_examples=20)
@given(arrays(np.float64, st.tuples(st.integers(1, 40), st.just(6)), elements=st.floats(allow_infinity=False)))
def test_a_row_alone_is_predicted_as_in_the_batch(models, X):
    for model in models.values():
        batch = predict(model, X)
        assert np.isfinite(batch).all()
        for i in {0, len(X) // 2, len(X) - 1}:
            assert predict(model, X[i : i + 1]).tobytes() == batch[i : i + 1].tobytes(), (model.family, model.task)
        if model.classes:
            assert (batch >= 0).all() and np.allclose(batch.sum(axis=1), 1)


def test_large_batches_are_predicted_as_small_ones(models):
    X = np.tile(rows(100, seed=2), (15, 1))
    for model in models.values():
        assert predict(model, X)[:100].tobytes() == predict(model, X[:100]).tobytes(), (model.family, model.task)


WITHOUT = {
    "lightgbm": ["sklearn", "pandas"],
    "linear": ["sklearn", "pandas", "lightgbm", "scipy"],
    "mlp": ["sklearn", "pandas", "lightgbm", "scipy"],
    "knn": ["sklearn", "pandas", "lightgbm", "scipy"],
    "rbf_kernel": ["sklearn", "pandas", "lightgbm", "scipy"],
    "baseline": ["sklearn"],
}


@pytest.mark.parametrize(("family", "without"), WITHOUT.items())
def test_a_loaded_model_imports_only_what_it_needs(models, tmp_path, family, without):
    model = models[family, "binary"]
    folder = save_model(model, tmp_path / "model")
    run = [sys.executable, "-c", IMPORTS, str(folder), *without]
    answer = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    assert answer == predict(model, np.linspace(-2, 2, 24).reshape(4, 6)).tobytes().hex()


def test_a_forest_of_a_trial_predicts_with_the_same_bits():
    X = rows(2000)
    y = np.nan_to_num(X[:, 0])
    trial = fit_model("extra_trees", {"max_features": 0.5}, X, y, "regression", threads=2, keep=False)
    expected = predict(trial, X).tobytes()
    assert trial.native.n_jobs == 1  # threads add the trees' predictions in any order
    assert all(predict(trial, X).tobytes() == expected for _ in range(20))
