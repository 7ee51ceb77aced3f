"""The recursion has the states of statsmodels' ETS models; the parameters found are near the best."""

import warnings

import numpy as np
import pytest
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from mlnb.methods.series.holt_winters import Parameters, State, extrapolate, forecast_holt_winters, smooth


def trending(seed: int, season: int, count: int = 72) -> np.ndarray:
    """Return a trend with a season and noise."""
    random, t = np.random.default_rng(seed), np.arange(count)
    return 60 + 0.4 * t + 9 * np.sin(2 * np.pi * t / season) + random.normal(0, 2, count)


@pytest.mark.parametrize("damped", [False, True])
@pytest.mark.parametrize("season", [1, 4, 7])
def test_states_and_forecasts_are_those_of_statsmodels(season, damped):
    values = trending(season, max(season, 2))
    kind = {"seasonal": "add", "seasonal_periods": season} if season > 1 else {}
    model = ETSModel(values, error="add", trend="add", damped_trend=damped, **kind)
    numbers = {"smoothing_level": 0.3, "smoothing_trend": 0.05} | ({"smoothing_seasonal": 0.1} if season > 1 else {})
    if damped:
        numbers["damping_trend"] = 0.9
    initial = model.start_params[len(numbers) :]
    result = model.smooth(np.r_[list(numbers.values()), initial])
    first = np.asarray(result.initial_seasonal if season > 1 else [0.0])
    positions = [first[(len(values) - 1 - position) % season] for position in range(season)]
    names = ("smoothing_level", "smoothing_trend", "smoothing_seasonal", "damping_trend")
    parameters = Parameters(*(np.full((1, 1), numbers.get(name, float(name[0] == "d"))) for name in names))
    start = State(
        np.full((1, 1), result.initial_level), np.full((1, 1), result.initial_trend),
        [np.full((1, 1), position) for position in positions],
    )  # fmt: skip
    state, squares = smooth(values[None], start, parameters, multiplicative=False)
    assert squares[0, 0] == pytest.approx(result.sse, rel=1e-9)
    np.testing.assert_allclose(
        extrapolate(state, parameters.phi, 9, multiplicative=False)[0], result.forecast(9), rtol=1e-9
    )


@pytest.mark.parametrize("season", [1, 4, 12])
def test_the_grid_is_as_good_as_the_optimizer(season):
    ours, theirs = [], []
    for seed in range(6):
        values = trending(seed, max(season, 2), 84)
        training, truth = values[:72], values[72:]
        kind = {"seasonal": "add", "seasonal_periods": season} if season > 1 else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = ETSModel(training, error="add", trend="add", damped_trend=True, **kind).fit(disp=False, maxiter=99)
        theirs.append(np.abs(fitted.forecast(12) - truth).mean())
        ours.append(np.abs(forecast_holt_winters(training[None], season, 12, False)[0] - truth).mean())
    assert np.mean(ours) < 1.15 * np.mean(theirs)
