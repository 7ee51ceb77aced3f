"""mlnb and statsforecast's automatic models on the same rolling origins of the same series.

    python benchmarks/forecasting.py [--peers PYTHON] [--csv temps.csv Temp ...]

17 series: statsmodels' own data (sunspots, Nile, copper, CO2, El Niño, electrical equipment, and four American
quarterly series), and generated series of known structure: a trend times a season, a random walk, intermittent demand,
a week with level shifts, a saturating trend, a day within a week, and cycles. --csv adds a file and its target.

Each series is forecast from five origins, one horizon apart (one period apart where the series is short), each with all
values before it. mlnb is fitted once, on the values before the first origin, by the functions that its stages call, and
forecasts like a service, from the history alone; a peer is fitted again at every origin. The error is the mean absolute
error over that of the seasonal-naive forecast in training (MASE): lower is better. `median` is the median of the
forecasts of AutoETS, AutoARIMA, AutoTheta and CES at each step; with a ratio below 1 mlnb is more accurate. `covered`
is the share of true values inside mlnb's 90 % interval.

--peers: the Python of a separate environment with the peers:
    python -m venv peers-env && peers-env/bin/pip install statsforecast mlforecast lightgbm
Without it mlnb is compared with the seasonal-naive forecast alone.
"""

import argparse
import json
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers.series import generated, real

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation.forecast_responses import respond_to_request
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.problem.forecast_contract import complete_forecast, start_forecast
from mlnb.methods.problem.problem_contract import state
from mlnb.methods.series.calendars import Frequency
from mlnb.methods.series.forecast_windows import request_schema
from mlnb.methods.series.lag_features import seasonal_scale
from mlnb.methods.series.time_series import build_histories
from mlnb.methods.tables.columns import Schema, to_arrays
from mlnb.methods.tables.type_inference import clean
from mlnb.methods.tasks.training_strategies import learn_decision
from mlnb.methods.training_data.forecast_examples import assign_periods, fit_windows, fold_fans
from mlnb.methods.training_data.training_examples import learn_examples
from mlnb.methods.tuning.ensembles import order_out_of_fold
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.stages.split import plan_table
from mlnb.stages.train import fit_best

ORIGINS, FOLDS = 5, 5
PEERS = ("AutoETS", "AutoARIMA", "AutoTheta", "AutoCES")


def read_problem(raw: pd.DataFrame, target: str, horizon: int | None) -> tuple[ProblemContract, pd.DataFrame, Schema]:
    """Return contract, typed table and schema of a raw table."""
    typed, schema, _ = clean(raw, target)
    problem = state(target, task="forecasting", details={"horizon": horizon})
    contract = start_forecast(problem, typed[target], "stated", list(typed))
    contract, typed, schema, _ = complete_forecast(contract, typed[typed[target].notna()], schema)
    return contract, typed, schema


def forecast_origins(
    contract: ProblemContract, table: pd.DataFrame, schema: Schema, cuts: list[int], seconds: float, trials: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Return mlnb's forecasts and interval ends at each number of rows (origins, horizon[, 2]), and its winner."""
    training = table.iloc[: cuts[0]].reset_index(drop=True)
    encoder = fit_windows(contract, schema, training)
    folds = fold_fans(contract, schema, encoder, training, assign_periods(training, contract, FOLDS)[0])
    examples = learn_examples(contract, schema, encoder, training)
    trials = trials or plan_table(training, schema, contract).trials
    tuned = tune(folds, "forecasting", "mase", trials=trials, seconds=seconds, examples=len(examples.y))
    model = fit_best(tuned.best, contract, examples)
    held_out = order_out_of_fold(tuned.predictions, tuned.rows, len(examples.y))
    decision = learn_decision(contract, held_out, examples.y, 0, examples.X, encoder.names).decision
    requested, forecasts, ends = request_schema(schema, contract), [], []
    for cut in cuts:
        rows = json_rows(table.iloc[:cut], requested)
        responses = respond_to_request(rows, requested, encoder, model, decision)
        forecasts.append([response.prediction for response in responses])
        intervals = [response.interval for response in responses]
        ends.append([(np.nan, np.nan) if one is None else (one.low, one.high) for one in intervals])
    members = [f"{member.weight:.2f} {member.family}" for member in tuned.best.members]
    return np.array(forecasts), np.array(ends), ", ".join(members)


def run_peers(python: str, values: np.ndarray, season: int, horizon: int, origins: list[int]) -> dict[str, np.ndarray]:
    """Return the forecasts of each peer (origins, horizon); gaps are interpolated."""
    if not python:
        return {}
    filled = pd.Series(values).interpolate(limit_direction="both").tolist()
    request = json.dumps({"values": filled, "season": season, "horizon": horizon, "origins": origins})
    script = str(Path(__file__).parent / "peers" / "statsforecast_models.py")
    done = subprocess.run([python, script], input=request, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{python} failed; install statsforecast in its environment:\n{done.stderr[-800:]}")
    return {name: np.array(result) for name, result in json.loads(done.stdout).items()}


def compete(
    raw: pd.DataFrame, target: str, horizon: int | None, seconds: float, trials: int, peers: str
) -> dict[str, Any]:
    """Return the MASE of each method on one series, the coverage of mlnb's intervals, and its seconds."""
    contract, table, schema = read_problem(raw, target, horizon)
    time_name, ahead = str(contract.time), int(contract.horizon or 1)
    arrays = to_arrays(table, request_schema(schema, contract))
    frequency = Frequency.of(contract.ruler)
    (history,) = build_histories(arrays, time_name, target, (), frequency)
    values, season = history.values, frequency.season
    apart = ahead if len(values) >= 2 * ORIGINS * ahead else 1
    origins = [len(values) - ahead - apart * back for back in range(ORIGINS)][::-1]
    periods = frequency.periods(arrays[time_name]) - history.first
    cuts = [int((periods < origin).sum()) for origin in origins]
    began = time.monotonic()
    forecasts, ends, winner = forecast_origins(contract, table, schema, cuts, seconds, trials)
    took = time.monotonic() - began
    last = [int(periods[cut - 1]) for cut in cuts]  # a gap before an origin makes the last value earlier
    truth = np.array([values[at + 1 : at + 1 + ahead] for at in last])
    season = season if origins[0] >= 2 * season + 1 else 1
    scale = seasonal_scale(values[: origins[0]], season)
    lags = np.arange(ahead) % season
    methods = {"mlnb": forecasts}
    methods["naive"] = np.array([_last_cycle(values[: at + 1], season)[lags] for at in last])
    peers_forecasts = run_peers(peers, values, frequency.season, ahead, [at + 1 for at in last])
    methods |= peers_forecasts
    if peers_forecasts:
        methods["median"] = np.median([peers_forecasts[name] for name in PEERS], axis=0)
    errors = {name: float(np.nanmean(np.abs(result - truth)) / scale) for name, result in methods.items()}
    inside = (ends[..., 0] <= truth) & (truth <= ends[..., 1])
    reference = errors.get("median", errors["naive"])
    return {
        **errors, "ratio": errors["mlnb"] / reference, "to naive": errors["mlnb"] / errors["naive"],
        "covered": float(inside[np.isfinite(truth)].mean()), "seconds": took, "winner": winner,
    }  # fmt: skip


def _last_cycle(values: np.ndarray, season: int) -> np.ndarray:
    """Return the last cycle, gaps filled from the cycle before, else from the last value."""
    filled = pd.Series(values)
    return filled.fillna(filled.shift(season)).ffill().to_numpy()[-season:]


def main() -> None:
    """Run every series and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default="", help="Python of an environment with statsforecast")
    parser.add_argument("--seconds", type=float, default=0.0, help="budget of mlnb's search on each series; 0: none")
    parser.add_argument("--trials", type=int, default=0, help="of mlnb's search; 0: as the plan of the split stage")
    parser.add_argument("--horizon", type=int, help="steps ahead; default: the frequency's own")
    parser.add_argument("--csv", nargs=2, action="append", default=[], metavar=("FILE", "TARGET"))
    parser.add_argument("--only", default="", help="names of series that contain one of these, separated by commas")
    parser.add_argument("--seed", type=int, default=0, help="of the generated series")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = [(name, raw, "value") for name, raw in (*real(), *generated(options.seed))]
    sets += [(Path(file).name, pd.read_csv(file), target) for file, target in options.csv]
    wanted = [part for part in options.only.split(",") if part]
    sets = [one for one in sets if not wanted or any(part in one[0] for part in wanted)]
    lines = {}
    for name, raw, target in sets:
        lines[name] = compete(raw, target, options.horizon, options.seconds, options.trials, options.peers)
        print(name, {k: round(v, 3) if isinstance(v, float) else v for k, v in lines[name].items()}, flush=True)
    table = pd.DataFrame(lines).T
    print(table.drop(columns="winner").astype(float).round(3).to_string())
    for column, what in (("ratio", "the median of four" if options.peers else "seasonal naive"), ("to naive", "naive")):
        ratios = table[column].astype(float)
        mean, most = np.exp(np.log(ratios).mean()), ratios.max()
        print(f"to {what}: geometric mean {mean:.3f}, largest {most:.3f} ({ratios.astype(float).idxmax()})")
    print(f"coverage of the 90 % intervals: {table['covered'].astype(float).mean():.1%}")


if __name__ == "__main__":
    main()
