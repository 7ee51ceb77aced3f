"""Forecasts of statsforecast's automatic models; run by a Python in which statsforecast is installed.

    PYTHON statsforecast_models.py < request.json > response.json

A request has values, season, horizon and origins (numbers of values before each); a response has for each model one
list of forecasts an origin. Each model is fitted again at every origin, on all values before it. With mlforecast and
lightgbm installed, a LightGBM on lags of the differenced series is added.
"""

import json
import sys
import warnings
from contextlib import suppress

import numpy as np


def main() -> None:
    """Read the request, and write the forecasts of every model."""
    from statsforecast.models import AutoARIMA, AutoCES, AutoETS, AutoTheta, SeasonalNaive

    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    values, season, horizon = np.array(request["values"]), request["season"], request["horizon"]
    out: dict[str, list[list[float]]] = {}
    for kind in (AutoETS, AutoARIMA, AutoTheta, AutoCES):
        for origin in request["origins"]:
            usable = season if origin >= 2 * season + 1 else 1
            try:
                mean = kind(season_length=usable).forecast(values[:origin], horizon)["mean"]
            except (ValueError, ArithmeticError, LookupError):  # too few values for this model
                mean = SeasonalNaive(season_length=usable).forecast(values[:origin], horizon)["mean"]
            out.setdefault(kind.__name__, []).append(np.asarray(mean, dtype=float).tolist())
    with suppress(ImportError):
        out["mlforecast"] = [boosted(values[:origin], season, horizon) for origin in request["origins"]]
    json.dump(out, sys.stdout)


def boosted(values: np.ndarray, season: int, horizon: int) -> list[float]:
    """Return forecasts of LightGBM on lags of the differenced series, by mlforecast."""
    import lightgbm
    import pandas as pd
    from mlforecast import MLForecast
    from mlforecast.target_transforms import Differences

    table = pd.DataFrame({"unique_id": 0, "ds": np.arange(len(values)), "y": values})
    differences = [1, season] if season > 1 and len(values) > 4 * season else [1]
    lags = [lag for lag in (1, 2, 3, 6, season, season + 1) if lag < len(values) // 3]
    model = lightgbm.LGBMRegressor(verbosity=-1, random_state=0, n_jobs=1)
    forecaster = MLForecast(
        models=[model], freq=1, lags=sorted(set(lags)), target_transforms=[Differences(differences)]
    )
    try:
        return list(map(float, forecaster.fit(table).predict(horizon)["LGBMRegressor"]))
    except ValueError:  # too few values after differencing
        return [float(values[-1])] * horizon


if __name__ == "__main__":
    main()
