"""Short, constant, intermittent and negative series: a forecast, or an error that names what to change."""

import warnings

import numpy as np
import pandas as pd
import pytest

from mlnb.errors import DataError
from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.evaluation.forecast_responses import respond_to_request
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.series.forecast_windows import request_schema
from mlnb.methods.series.local_forecasts import LOCAL
from mlnb.methods.training_data.forecast_examples import (
    assign_periods,
    fit_windows,
    fold_fans,
    learn_fan,
    split_periods,
)
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.stages.validate import type_table

FAMILIES = ["seasonal_naive", "mean_level", "autoregression", "residual_autoregression", *LOCAL]


def forecast(values: np.ndarray, horizon: int, start: str = "2020-01-01", unit: str = "MS") -> list[float]:
    """Return the forecasts of the winner, from the file to the response, without a project."""
    days = pd.date_range(start, periods=len(values), freq=unit).strftime("%Y-%m-%d")
    raw = pd.DataFrame({"day": days, "v": values})
    contract, schema, table, _ = type_table(raw, state("v", task="forecasting", details={"horizon": horizon}), {})
    rows, _, _ = split_periods(table, contract, 0.2)
    training = table.iloc[rows].reset_index(drop=True)
    encoder = fit_windows(contract, schema, training)
    folds = fold_fans(contract, schema, encoder, training, assign_periods(training, contract, 5)[0])
    best = tune(folds, "forecasting", "mase", families=FAMILIES, trials=len(FAMILIES), workers=1, ensemble=False).best
    fan = learn_fan(contract, schema, encoder, training)
    model = fit_model(best.family, best.params, fan.X, fan.y, "forecasting", metric="mase")
    requested = request_schema(schema, contract)
    responses = respond_to_request(json_rows(training, requested), requested, encoder, model, Decision())
    assert len(responses) == horizon
    return [response.prediction for response in responses]


@pytest.mark.parametrize("count", [12, 13, 15, 17, 18, 24])
def test_a_series_of_two_horizons_is_forecast(count):
    values = 10.0 + np.arange(count) % 3 + np.random.default_rng(count).normal(0, 0.1, count)
    assert np.allclose(forecast(values, 6), values.mean(), atol=2.5)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_shorter_series_is_refused_with_the_horizon_to_state(count):
    with pytest.raises(DataError, match=r"problem\.horizon|three at least|problem\.frequency|one value"):
        forecast(np.arange(1.0, count + 1), 6)


@pytest.mark.parametrize("count", range(2, 9))
def test_a_horizon_of_one_has_a_result_or_an_error_of_the_data(count):
    try:
        assert np.isfinite(forecast(np.arange(1.0, count + 1) ** 2, 1)).all()
    except DataError as error:
        assert "add" in str(error) or "expected" in str(error)


KINDS = {
    "constant": np.full(60, 7.5),
    "zero": np.zeros(60),
    "negative": -100.0 - np.arange(60.0) + np.tile([0, 3, 9, 1], 15),
    "crossing zero": np.linspace(-5, 5, 60),
    "intermittent": np.tile([0, 0, 0, 4, 0, 0, 7, 0, 0, 0], 6).astype(float),
    "huge": 1e12 * (2 + np.sin(np.arange(60.0))),
    "tiny": 1e-12 * (2 + np.sin(np.arange(60.0))),
    "one jump": np.repeat([1.0, 1e6], 30),
}


@pytest.mark.parametrize("kind", KINDS)
def test_series_of_every_kind_are_forecast_near_their_range(kind):
    values = KINDS[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ahead = np.array(forecast(values, 6))
    reach = 3 * np.ptp(values) + 1e-9 * np.abs(values).max()
    assert (ahead >= values.min() - reach).all() and (ahead <= values.max() + reach).all()
    if values.min() >= 0 and kind != "one jump":
        assert (ahead >= -0.3 * np.ptp(values)).all()


def test_intermittent_demand_is_forecast_by_its_mean():
    random = np.random.default_rng(3)
    values = (random.random(120) < 0.3) * random.poisson(5, 120).astype(float)
    assert 0.3 < np.mean(forecast(values, 7, "2023-01-01", "D")) < 3.0
