"""mlnb, the seasonal-naive forecast and AutoETS on the same rolling origins of the same held-out periods.

    python benchmarks/forecasting.py [--seconds 60] [--csv temps.csv Temp ...]

The series come from statsmodels' own data (sunspots by year, CO2 by week with holes, the Nile by year, El Niño by
month, the American GDP by quarter) and from any CSV that is named with its target. The horizon is the default of the
frequency (14 days, 13 weeks, 12 months, 8 quarters, 6 years) unless one is given. The last fifth of a series is held
out; each method is fitted once on the periods before it and then forecasts from every held-out period, with all values
up to that period. Exponential smoothing is the best of up to fifteen ETS models by AICc (as R's `ets` selects); the
error is the MASE. Lower is better; with a ratio below 1 mlnb is more accurate.
"""

import argparse
import time
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import statsmodels.api as sm

from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.evaluation.forecast_evaluation import evaluate_forecaster
from mlnb.methods.problem.forecast_contract import complete_forecast, start_forecast
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.tables.type_inference import clean
from mlnb.methods.training_data.forecast_examples import assign_periods, fit_windows, fold_fans, split_periods
from mlnb.methods.training_data.training_examples import learn_examples
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.stages.train import fit_best

SHARE, FOLDS = 0.2, 5  # as the stages have them


def bundled() -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield name, table and target of the series that statsmodels includes."""
    sunspots = sm.datasets.sunspots.load_pandas().data
    years = sunspots["YEAR"].astype(int).astype(str) + "-01-01"
    yield "sunspots by year", pd.DataFrame({"date": years, "value": sunspots["SUNACTIVITY"]}), "value"
    co2 = sm.datasets.co2.load_pandas().data.reset_index(names="date")
    yield "CO2 by week", co2, "co2"
    nile = sm.datasets.nile.load_pandas().data
    years = nile["year"].astype(int).astype(str) + "-01-01"
    yield "Nile by year", pd.DataFrame({"date": years, "value": nile["volume"]}), "value"
    wide = sm.datasets.elnino.load_pandas().data
    dates = [f"{int(year)}-{month:02d}-01" for year in wide["YEAR"] for month in range(1, 13)]
    yield "El Nino by month", pd.DataFrame({"date": dates, "value": wide.to_numpy()[:, 1:].ravel()}), "value"
    macro = sm.datasets.macrodata.load_pandas().data
    quarters = zip(macro["year"], macro["quarter"], strict=True)
    dates = [f"{int(year)}-{3 * int(quarter) - 2:02d}-01" for year, quarter in quarters]
    yield "GDP by quarter", pd.DataFrame({"date": dates, "value": macro["realgdp"]}), "value"


def compete(raw: pd.DataFrame, target: str, horizon: int | None, seconds: float, trials: int) -> dict[str, float | str]:
    """Return the MASE of each method on one table, and the seconds of mlnb."""
    table, schema, _ = clean(raw, target)
    problem = state(target, task="forecasting", details={"horizon": horizon})
    contract = start_forecast(problem, table[target], "stated", list(table))
    table = table[table[target].notna()]
    contract, table, schema, _ = complete_forecast(contract, table, schema)
    rows, held, _ = split_periods(table, contract, SHARE)
    training, test = (table.iloc[part].reset_index(drop=True) for part in (rows, held))
    began = time.monotonic()
    encoder = fit_windows(contract, schema, training)
    folds = fold_fans(contract, schema, encoder, training, assign_periods(training, contract, FOLDS)[0])
    examples = learn_examples(contract, schema, encoder, training)
    best = tune(folds, "forecasting", "mase", trials=trials, seconds=seconds, examples=len(examples.y)).best
    model = fit_best(best, contract, examples)
    took = time.monotonic() - began
    metrics = evaluate_forecaster(contract, schema, encoder, model, Decision(), training, test, resamples=100).metrics
    result = {who: float(metrics.references[who].scores["mase"] or np.nan) for who in ("dummy", "ets")}
    mase, origins = float(metrics.deciding.value or np.nan), metrics.forecast.origins if metrics.forecast else 0
    return {
        "frequency": f"{contract.frequency}, {contract.horizon} ahead", "origins": origins,
        "mlnb": mase, "seasonal naive": result["dummy"], "AutoETS": result["ets"], "to naive": mase / result["dummy"],
        "to AutoETS": mase / result["ets"], "winner": best.family, "seconds": took,
    }  # fmt: skip


def main() -> None:
    """Run every series and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="budget of mlnb's search on each series")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--horizon", type=int, help="steps ahead; default: the frequency's own")
    parser.add_argument("--csv", nargs=2, action="append", default=[], metavar=("FILE", "TARGET"))
    parser.add_argument("--only-csv", action="store_true", help="leave out statsmodels' series")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = [] if options.only_csv else list(bundled())
    sets += [(f"{file.rpartition('/')[2]}: {target}", pd.read_csv(file), target) for file, target in options.csv]
    lines = {}
    for name, raw, target in sets:
        lines[name] = compete(raw, target, options.horizon, options.seconds, options.trials)
        print(name, lines[name], flush=True)
    table = pd.DataFrame(lines).T
    print(table.to_string(float_format=lambda number: f"{number:.3f}"))
    for reference in ("to naive", "to AutoETS"):
        ratios = table[reference].astype(float)
        mean, won = np.exp(np.log(ratios).mean()), (ratios < 1).sum()
        print(f"{reference}: geometric mean {mean:.3f}, below 1 on {won} of {len(ratios)}")


if __name__ == "__main__":
    main()
