"""Theta forecasts agree with statsmodels where both models are the same; TSB follows the share of demand."""

import numpy as np
import pytest
from statsmodels.tsa.forecasting.theta import ThetaModel

from mlnb.methods.series import theta_method
from mlnb.methods.series.theta_method import forecast_theta, forecast_tsb


@pytest.mark.parametrize("drift", [-0.5, 0.0, 0.8])
def test_random_walks_are_forecast_as_by_statsmodels_at_the_same_theta(drift, monkeypatch):
    monkeypatch.setattr(theta_method, "THETAS", (2.0,))
    gaps = []
    for seed in range(8):
        walk = 50 + np.cumsum(np.random.default_rng(seed).normal(drift, 1, 150))
        theirs = ThetaModel(walk, period=1, deseasonalize=False).fit().forecast(8, theta=2).to_numpy()
        gaps.append(np.abs(forecast_theta(walk[None], 8)[0] - theirs).mean())
    assert np.mean(gaps) < 0.4  # the spread of eight steps is 2


def test_without_a_trend_theta_is_simple_exponential_smoothing():
    noise = np.random.default_rng(1).normal(10, 1, 300)
    assert np.abs(forecast_theta(noise[None], 5) - 10).max() < 0.5


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_tsb_is_the_mean_demand(share):
    random = np.random.default_rng(2)
    demand = (random.random((40, 120)) < share) * random.poisson(6, (40, 120)).astype(float)
    assert forecast_tsb(demand).mean() == pytest.approx(6 * share, rel=0.2)
