"""RBF kernel models: extreme columns, few rows, more rows than landmarks, absent classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlnb.methods.evaluation.explanations import built_in_importance, explains
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.rbf_kernel import LANDMARKS, fit_rbf_kernel, predict_rbf_kernel
from mlnb.methods.models.search_spaces import SPACES, default_params

PARAMS = default_params("rbf_kernel")
NUMBERS = st.floats(allow_infinity=False, width=64)


@given(
    arrays(np.float64, (12, 3), elements=NUMBERS),
    st.floats(SPACES["rbf_kernel"]["gamma"].low, SPACES["rbf_kernel"]["gamma"].high),
    st.booleans(),
)
def test_any_columns_are_fitted(X, gamma, quantile_transform):
    params = {"gamma": gamma, "alpha": 0.01, "quantile_transform": quantile_transform}
    values, codes = np.arange(12.0), np.arange(12) % 3
    for y, classes in ((values, 0), (codes, 3), (codes // 2, 2)):
        fitted = fit_rbf_kernel(params, X, y, None, classes)
        predicted = predict_rbf_kernel(fitted, X)
        assert np.isfinite(predicted).all()
        assert all(np.array_equal(predict_rbf_kernel(fitted, X[i : i + 1])[0], predicted[i]) for i in range(12))


def test_more_rows_than_landmarks_are_approximated():
    random = np.random.default_rng(0)
    X = random.uniform(-2, 2, (2 * LANDMARKS, 2))
    y = np.sin(2 * X[:, 0]) * X[:, 1]
    fitted = fit_rbf_kernel({"gamma": 1.0, "alpha": 1e-3}, X, y, None, 0, seed=3)
    assert len(fitted["landmarks"]) == LANDMARKS < len(np.unique(X[:, 0]))
    assert np.abs(predict_rbf_kernel(fitted, X) - y).max() < 0.2
    other = fit_rbf_kernel({"gamma": 1.0, "alpha": 1e-3}, X, y, None, 0, seed=4)
    assert not np.array_equal(fitted["landmarks"], other["landmarks"])


@pytest.mark.parametrize(("task", "classes", "present"), [("binary", 2, [1]), ("multiclass", 4, [0, 3])])
def test_a_class_without_training_rows_has_probability_zero(task, classes, present):
    X = np.random.default_rng(0).normal(size=(30, 2))
    y = np.resize(present, 30)
    p = predict(fit_model("rbf_kernel", PARAMS, X, y, task, classes), X)
    assert np.allclose(p[:, present].sum(axis=1), 1) and p.shape == (30, classes)
    assert not p[:, [code for code in range(classes) if code not in present]].any()


def test_weight_two_is_a_row_twice():
    random = np.random.default_rng(1)
    X, weights = random.normal(size=(60, 3)), random.integers(1, 4, 60)
    twice = np.repeat(np.arange(60), weights)
    y = np.sin(X[:, 0]) + X[:, 1]
    codes = (y > 0).astype(int)
    for target, classes in ((y, 0), (codes, 2)):
        weighted = fit_rbf_kernel(PARAMS, X, target, weights.astype(float), classes, counts=weights.astype(float))
        repeated = fit_rbf_kernel(PARAMS, X[twice], target[twice], None, classes)
        np.testing.assert_allclose(predict_rbf_kernel(weighted, X), predict_rbf_kernel(repeated, X), atol=1e-3)


def test_coefficients_of_landmarks_are_not_taken_for_those_of_columns():
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = fit_model("rbf_kernel", PARAMS, X, X[:, 0], "regression")
    assert not explains(model) and not len(built_in_importance(model, ["a", "b"]))
