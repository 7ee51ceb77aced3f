"""One encoded row scored without a matrix: the same bits, from any thread."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from mlnb.methods.models.fitted_models import Model, load_model, predict
from mlnb.methods.models.skewed_targets import LogTransform
from mlnb.serving.runtime.row_scorers import compile_scorer

KINDS = [
    ("lightgbm", "binary"),
    ("random_forest", "multiclass"),
    ("hist_gradient_boosting", "regression"),
    ("linear", "binary"),
]


@pytest.fixture(scope="module")
def models(material):
    return [load_model(material(*kind).model) for kind in KINDS]


def encoded(model, count=40):
    return np.random.default_rng(0).normal(size=(count, model.features))


def test_a_row_is_scored_as_in_a_matrix(models):
    for model in models:
        X = encoded(model)
        rows = [compile_scorer(model)(row) for row in X]
        assert (rows if model.classes else [value for (value,) in rows]) == predict(model, X).tolist()


def test_an_ensemble_is_scored_as_in_a_matrix(models):
    first, last = models[0], models[3]
    together = Model("ensemble", "binary", 2, first.features, {"members": [first, last], "weights": [0.3, 0.7]})
    X = encoded(first)
    assert [compile_scorer(together)(row) for row in X] == predict(together, X).tolist()


def test_an_inverted_logarithm_is_scored_as_in_a_matrix(models):
    transform = LogTransform(shift=0.3, low=-1.0, high=2.0, smearing=1.1)
    skewed = Model("transformed", "regression", 0, models[2].features, {"inner": models[2], "transform": transform})
    X = encoded(skewed, 200)
    assert [value for (value,) in map(compile_scorer(skewed), X)] == predict(skewed, X).tolist()


def test_threads_do_not_share_a_buffer(models):
    score, rows = compile_scorer(models[0]), encoded(models[0], 200)
    expected, results = predict(models[0], rows).tolist(), {}
    work = [threading.Thread(target=lambda n=n: results.__setitem__(n, [score(row) for row in rows])) for n in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert all(one == expected for one in results.values()) and len(results) == 4


ALONE = """
import sys
import pyarrow
from mlnb.serving.runtime.row_scorers import import_lightgbm_alone
import_lightgbm_alone()
import lightgbm
pyarrow.array(["x"])
assert lightgbm.Booster and not {"sklearn", "pandas", "matplotlib"} & set(sys.modules)
import sklearn
from mlnb.serving.batch.arrow_columns import to_list
instants = to_list(pyarrow.array([1, 1000], pyarrow.timestamp("ns")))  # for which pyarrow needs pandas after all
assert str(instants[0]).endswith(".000000001")
"""


def test_a_service_imports_lightgbm_alone():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
