"""Linear models and MLPs: warnings of fits at the same time, the order of sums, and bins of difficult columns."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.numpy_models import (
    UNCONVERGED,
    encode_bins,
    fit_bins,
    fit_mlp,
    fit_scaler,
    ordered_scores,
    predict_mlp,
    scale_columns,
)


def test_a_fit_that_ends_does_not_show_the_warnings_of_another() -> None:
    both, ended = Barrier(2), Barrier(2)

    def first() -> None:
        with UNCONVERGED.ignored():
            both.wait()
        ended.wait()

    def second() -> None:
        with UNCONVERGED.ignored():
            both.wait()
            ended.wait()
            warnings.warn("the limit was reached", ConvergenceWarning, stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result()
    with pytest.raises(ConvergenceWarning):
        warnings.warn("the filters are those of before", ConvergenceWarning, stacklevel=1)


@settings(max_examples=60)
@given(st.integers(1, 4), st.integers(1, 60), st.integers(1, 40), st.booleans(), st.integers(0, 2**32 - 1))
def test_sums_do_not_depend_on_the_number_of_rows(rows, columns, outputs, turned, seed) -> None:
    random = np.random.default_rng(seed)
    Z = random.normal(size=(rows, columns)) * 10.0 ** random.integers(-12, 12, columns)
    weights = random.normal(size=(outputs, columns)).T if turned else random.normal(size=(columns, outputs))
    expected = np.zeros((rows, outputs))
    for j in range(columns):
        expected += Z[:, j, None] * weights[j]
    assert np.array_equal(ordered_scores(Z, weights, np.ones(outputs)), expected + 1.0)


def test_bins_of_difficult_columns() -> None:
    random = np.random.default_rng(0)
    X = np.c_[
        random.lognormal(0, 300, 200),
        np.full(200, np.nan),
        random.integers(0, 2, 200),
        np.r_[np.full(197, 5.0), 1e300, -1e300, np.nan],
        random.normal(size=200),
    ]
    learned = {"fill": np.zeros(5), **fit_bins(X, np.zeros(5), 16)}
    assert set(learned["bin_columns"]) == {0, 4} and (learned["bin_widths"] > 0).all()
    for rows in (X, np.full((1, 5), np.inf), np.full((1, 5), -np.inf), np.full((1, 5), np.nan)):
        encoded = encode_bins(learned, rows)
        assert np.isfinite(encoded).all() and encoded.min() >= 0 and encoded.max() <= 1
    model = fit_mlp({"width": 4, "learning_rate": 0.01, "alpha": 0.1, "bins": 16}, X, X[:, 4], None, 0)
    assert np.isfinite(predict_mlp(model, X)).all()


def test_rows_without_a_weight_teach_an_mlp_nothing() -> None:
    X = np.random.default_rng(0).normal(size=(65, 3))
    params = {"width": 4, "learning_rate": 0.01, "alpha": 0.1}
    for least in (0.0, 1e-50):  # the last batch has one row: without a weight, it has no loss
        weights = np.where(np.arange(65) % 4 > 0, 1.0, least)
        model = fit_model("mlp", params, X, X[:, 0], "regression", 0, weights=weights)
        assert np.isfinite(predict(model, X)).all()
    y = np.arange(65) % 2
    one_class = fit_model("mlp", params, X, y, "binary", 2, weights=y.astype(float))
    assert np.array_equal(predict(one_class, X), np.tile([0.0, 1.0], (65, 1)))


def test_columns_with_values_next_to_zero() -> None:
    random = np.random.default_rng(0)
    X = np.r_[10.0 ** -random.uniform(280, 323, 150), random.uniform(size=50)][:, None]  # p values
    rows = np.array([[1.0], [1e300], [-1e300], [5e-324], [0.0], [np.nan]])
    for flag in (0, 1):
        scaler = fit_scaler(X, bool(flag))
        assert np.isfinite(scale_columns(scaler, rows)).all()
    encoded = encode_bins({**scaler, **fit_bins(X, scaler["fill"], 8)}, rows)
    assert np.isfinite(encoded).all() and set(encoded[1]) == {1.0} and set(encoded[2]) == {0.0}


def test_the_median_of_huge_values_is_finite() -> None:
    X = np.array([[1.5e308], [1.6e308], [np.nan], [np.inf]])
    scaler = fit_scaler(X)
    assert np.isfinite(scaler["fill"]).all() and np.isfinite(scale_columns(scaler, X)).all()
