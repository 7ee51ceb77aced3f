"""Robustness: perturbations are reproducible and leave their input unchanged."""

import numpy as np
import pytest

from mlnb.methods.evaluation.robustness import ROWS, Columns, add_noise, exchange_rows, perturb, remove_values


@pytest.fixture
def clean() -> Columns:
    random = np.random.default_rng(0)
    return {
        "x": random.normal(10, 4, 2000),
        "flag": random.integers(0, 2, 2000).astype(float),
        "city": random.choice(["Bern", "Graz"], 2000).astype(object),
    }


def test_missing_values(clean: Columns) -> None:
    only = remove_values(clean, 1.0, only=["x"])
    assert np.isnan(only["x"]).all() and not np.isnan(only["flag"]).any() and not np.isnan(clean["x"]).any()
    first, second = remove_values(clean, 0.3)["x"], remove_values(clean, 0.3)["x"]
    assert np.array_equal(first, second, equal_nan=True)


def test_noise_leaves_texts_and_empty_columns(clean: Columns) -> None:
    assert (add_noise(clean, 0.5)["city"] == clean["city"]).all()
    assert np.isnan(add_noise({"empty": np.full(4, np.nan)}, 1.0)["empty"]).all()


def test_exchanged_values(clean: Columns) -> None:
    assert (exchange_rows(clean, 1.0, only=["x"])["x"] != clean["x"]).mean() > 0.9
    assert 0.05 < (exchange_rows(clean, 0.1)["x"] != clean["x"]).mean() < 0.15


def test_undefined_scores_and_large_tables(clean: Columns) -> None:
    undefined = perturb(clean, lambda tables, rows: [float("nan") for _ in tables], 0.0)
    assert undefined[1].score is None and undefined[1].share_lost is None
    checks = perturb({"x": np.arange(20_000.0)}, lambda tables, rows: [float(len(rows)) for _ in tables], 0.0)
    assert checks[0].score == ROWS
    assert perturb({}, lambda tables, rows: [], 0.0) == ()
