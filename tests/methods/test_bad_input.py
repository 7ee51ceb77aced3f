"""Tables with little or no information in split, folds and search: a result, or a clear refusal."""

import time

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.metrics.weighted_metrics import score
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.training_data.data_splits import make_folds, split_rows
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.hyperparameter_search import tune

BINARY = ProblemContract(task="binary", target="y", classes=["no", "yes"])
random = np.random.default_rng(0)


def table(rows=60, groups=1):
    """Rows of two classes in `groups` groups."""
    labels = ["yes" if i % 3 == 0 else "no" for i in range(rows)]
    return pd.DataFrame({"x": random.normal(size=rows), "shop": [f"s{i % groups}" for i in range(rows)], "y": labels})


def rows_of(n, positive=0.3):
    """Encoded rows and their classes."""
    X = random.normal(size=(n, 5))
    return X, (X[:, 0] + random.normal(0, 0.5, n) > np.quantile(X[:, 0], 1 - positive)).astype(int)


def test_a_single_group_is_refused():
    with pytest.raises(ValueError, match=r"cut by group give .* expected 2 and 1 at least"):
        split_rows(table(), BINARY, "group", column="shop")
    with pytest.raises(ValueError, match="too few rows to cross-validate: 1 folds instead of 5: there are 1 groups"):
        make_folds(table(), BINARY, "group", column="shop")


def test_fewer_groups_than_folds():
    few = table(groups=3)
    folds, why = make_folds(few, BINARY, "group", 5, column="shop")
    assert why == "3 folds instead of 5: there are 3 groups"
    assert all(len(set(folds[few["shop"] == shop])) == 1 for shop in few["shop"].unique())


def test_groups_with_one_class_each():
    apart = table(groups=3).assign(y=lambda t: np.where(t["shop"] == "s0", "yes", "no"))
    refused = 0
    for seed in range(5):
        try:
            split_rows(apart, BINARY, "group", seed=seed, column="shop")
        except ValueError as error:
            refused += 1
            assert "class '" in str(error) and "another kind or column" in str(error)
    assert refused


@pytest.mark.parametrize("family", ["lightgbm", "linear", "random_forest"])
def test_a_fold_without_a_class(family):
    X, y = rows_of(150)
    order = np.argsort(y, kind="stable")
    lacking, other = np.flatnonzero(y == 0)[:40], np.setdiff1d(np.arange(150), order[:40])
    folds = [Fold(X[other], y[other], X[lacking], y[lacking]), Fold(X[::2], y[::2], X[1::2], y[1::2])]
    best = tune(folds, "binary", "roc_auc", 2, families=[family], trials=1).best
    assert best.fold_scores[0] is None and best.score == best.fold_scores[1] > 0.6
    with pytest.raises(ValueError, match="roc_auc is undefined in every fold"):
        tune(folds[:1], "binary", "roc_auc", 2, families=[family], trials=1)


def test_a_fold_with_one_training_class_predicts_it():
    X, y = rows_of(120)
    lone = np.flatnonzero(y == 0)[:50]
    rest = np.setdiff1d(np.arange(120), lone)
    folds = [Fold(X[lone], y[lone], X[rest], y[rest]), Fold(X[::2], y[::2], X[1::2], y[1::2])]
    best = tune(folds, "binary", "roc_auc", 2, families=["lightgbm", "linear"], trials=2).best
    assert best.failed == 0 and best.fold_scores[0] is not None


@pytest.mark.parametrize("weights", [[1.0] * 59 + [-1.0], [1.0] * 59 + [np.nan], [0.0] * 60, [1.0] * 59])
@pytest.mark.parametrize("family", ["lightgbm", "linear", "extra_trees", "baseline"])
def test_invalid_weights_are_refused(family, weights):
    X, y = rows_of(60)
    with pytest.raises(ValueError, match="found weights"):
        fit_model(family, {}, X, y, "binary", 2, weights=np.array(weights))


def test_missing_and_infinite_values_and_constant_columns_are_fitted():
    X, y = rows_of(200)
    X = np.c_[X, np.full(200, 7.0), np.full(200, np.nan), X[:, 0]]
    X[::9, 1] = np.nan
    X[::11, 2] = np.inf
    for family in ("lightgbm", "linear", "random_forest", "hist_gradient_boosting", "mlp", "knn", "rbf_kernel"):
        model = fit_model(family, default_params(family), X, y, "binary", 2)
        assert score("roc_auc", y, predict(model, X)) > 0.75, family


def test_a_budget_of_two_seconds_on_many_rows_ends_with_a_winner_in_time():
    X, y = rows_of(120_000)
    part = np.arange(120_000) % 3
    folds = [Fold(X[part != f], y[part != f], X[part == f], y[part == f]) for f in range(3)]
    begun = time.process_time()
    best = tune(folds, "binary", "roc_auc", 2, seconds=2.0, trials=40, workers=2).best
    model = fit_winner(best, "binary", 2, "roc_auc", X, y)
    assert time.process_time() - begun < 2 * 2.0 + 10
    assert score("roc_auc", y, predict(model, X)) > 0.85 and best.stopped_by == "seconds"


def test_too_few_rows_of_a_class_are_refused():
    from mlnb.stages.split import plan_table

    schema = Schema((Column("x", "number"), Column("y", "category", "target")), 3)
    with pytest.raises(ValueError, match="rarest class of share"):
        plan_table(pd.DataFrame({"x": [1.0], "y": ["a"]}), schema, BINARY)
