"""Permutation importance: equal to shuffling and predicting every copy, and bounded for slow models."""

import numpy as np
import pytest

from mlnb.methods.evaluation import explanations
from mlnb.methods.evaluation.explanations import (
    FEWEST_COLUMNS,
    LEAST,
    ROWS,
    affordable_rows,
    permutation_importance,
)
from mlnb.methods.metrics.weighted_metrics import score
from mlnb.methods.models.fitted_models import Model, predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params


def shuffle_all(
    model: Model, X: np.ndarray, y: np.ndarray, sources: list[str], repeats: int, seed: int
) -> dict[str, tuple[float, float]]:
    """Return the importance of each column by predicting every row of every shuffled copy."""
    random = np.random.default_rng(seed)
    whole, result = score("log_loss", y, predict(model, X)), dict[str, tuple[float, float]]()
    for column in dict.fromkeys(sources):
        indices, losses = [j for j, source in enumerate(sources) if source == column], []
        for _ in range(repeats):
            shuffled = X.copy()
            shuffled[:, indices] = X[random.permutation(len(X))][:, indices]
            losses.append(score("log_loss", y, predict(model, shuffled)) - whole)
        result[column] = (float(np.mean(losses)), float(np.std(losses)))
    return result


@pytest.mark.parametrize("seed", range(3))
def test_importance_is_that_of_predicting_every_shuffled_copy(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(60, 300))
    town = random.integers(0, 4, n)
    X = np.column_stack([random.normal(size=n), np.eye(4)[town], random.integers(0, 2, n), np.full(n, 3.0)])
    X[random.random(n) < 0.2, 0] = np.nan
    X[random.random(n) < 0.1, 5] = -0.0
    sources = ["size", "town", "town", "town", "town", "flag", "constant"]
    y = random.integers(0, 3, n)
    boosted = fit_model("lightgbm", {"rounds": 5}, X, y, "multiclass", 3)
    linear = fit_model("linear", {"alpha": 1.0}, X, y, "multiclass", 3)
    both = Model("ensemble", "multiclass", 3, X.shape[1], {"members": [boosted, linear], "weights": [0.5, 0.5]})
    for model in (boosted, linear, both):
        table = permutation_importance(model, X, y, "log_loss", sources, repeats=3, seed=seed).set_index("column")
        expected = shuffle_all(model, X, y, sources, 3, seed)
        measured = {name: (row["importance"], row["deviation"]) for name, row in table.iterrows()}
        assert measured == expected
        assert (table["rows"] == n).all() and (table["repeats"] == 3).all()


def test_a_slow_model_is_measured_with_fewer_shuffles_rows_and_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(2 * LEAST, FEWEST_COLUMNS + 5))
    y = X[:, 0] + 2 * X[:, 3]
    model, sources = fit_model("linear", {"alpha": 1.0}, X, y, "regression"), [f"c{j}" for j in range(X.shape[1])]
    whole = permutation_importance(model, X, y, "rmse", sources)
    assert len(whole) == X.shape[1] and set(whole["rows"]) == {len(X)} and set(whole["repeats"]) == {5}
    monkeypatch.setattr(explanations, "EVALUATIONS", 1)
    table = permutation_importance(model, X, y, "rmse", sources)
    assert len(table) == FEWEST_COLUMNS and set(table["rows"]) == {LEAST} and set(table["repeats"]) == {2}
    assert table["column"].tolist()[:2] == ["c3", "c0"]


def test_models_that_compute_distances_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(1200, 40)), random.normal(size=1200)
    names = [f"c{at}" for at in range(40)]
    for family in ("rbf_kernel", "knn"):
        model = fit_model(family, default_params(family), X, y, "regression")
        rows, repeats = affordable_rows(model, 40, 5)
        assert LEAST <= rows < ROWS / 4 and repeats == 2
    monkeypatch.setattr(explanations, "EVALUATIONS", 2000)
    model = fit_model("rbf_kernel", default_params("rbf_kernel"), X[:90], y[:90], "regression")
    with_all = permutation_importance(model, X, y, "rmse", names)
    assert len(with_all) == 40  # a slow model without a built-in importance has no columns to prefer
