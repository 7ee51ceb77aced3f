"""Time of one request for the forecasts of many series, from the bytes of its rows to the responses.

    python benchmarks/forecast_requests.py [--series 1000] [--points 200] [--horizon 14] [--rounds 5]

Learns the encoder from all series and a LightGBM model from ten, then sends the whole history of all series in one
request to the handler that a service uses, without the network. Prints the medians of wall and processor time; the
limit is 1 s for 1,000 series of 200 points on two cores. Ends with 1 when it is missed though the machine was idle.

Processor milliseconds of 880: local models 480, parsing the JSON text 130, columns of the rows 90, their check 75,
responses 50, histories 30, trees 26.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from forecasting import read_problem
from peers import figures
from peers.limits import BUSY_LOAD

from mlnb.codec import encode
from mlnb.methods.evaluation.test_evaluation import json_rows
from mlnb.methods.models.fitted_models import save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.series.forecast_windows import request_schema
from mlnb.methods.training_data.forecast_examples import fit_windows
from mlnb.methods.training_data.training_examples import learn_examples
from mlnb.serving.runtime.forecast_handler import ForecastHandler
from mlnb.serving.runtime.model_parts import ModelParts

LIMIT = 1.0  # seconds for 1,000 series of 200 points
LEARNED = 10  # series that the model is fitted on


def make_series(series: int, points: int) -> pd.DataFrame:
    """Return daily sales of shops: a level, a week and a trend of each, and noise."""
    random, at = np.random.default_rng(0), np.arange(points)
    days, parts = pd.date_range("2023-01-01", periods=points), []
    for shop in range(series):
        week = 1 + 0.3 * np.sin(2 * np.pi * (at + random.integers(7)) / 7) + 0.002 * at * random.normal()
        sales = np.exp(random.normal(3, 1)) * (week + 0.1 * random.normal(size=points))
        parts.append(pd.DataFrame({"day": days, "shop": f"shop {shop}", "sales": sales.round(2)}))
    return pd.concat(parts, ignore_index=True)


def make_handler(series: int, points: int, horizon: int, folder: Path) -> tuple[ForecastHandler, bytes]:
    """Return the handler of a fitted model, and the body of a request."""
    contract, table, schema = read_problem(make_series(series, points), "sales", horizon)
    encoder = fit_windows(contract, schema, table)
    some = table[table["shop"].isin([f"shop {shop}" for shop in range(LEARNED)])].reset_index(drop=True)
    examples = learn_examples(contract, schema, encoder, some)
    params = {"rounds": 50, "learning_rate": 0.1}
    model = fit_model("lightgbm", params, examples.X, examples.y, contract.task, 0, "mase", threads=1)
    save_model(model, folder / "fitted")
    (folder / "contract.json").write_bytes(encode(contract))
    for name, part in (("schema", schema.to_json()), ("encoder", encoder.to_json())):
        (folder / f"{name}.json").write_text(json.dumps(part))
    rows = json_rows(table, request_schema(schema, contract))
    return ForecastHandler(ModelParts.load(folder)), json.dumps(rows).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=1000, help="series of the request (default: 1000)")
    parser.add_argument("--points", type=int, default=200, help="values of each series (default: 200)")
    parser.add_argument("--horizon", type=int, default=14, help="steps ahead (default: 14)")
    parser.add_argument("--rounds", type=int, default=5, help="requests (default: 5)")
    figures.add_json(parser)
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        handler, body = make_handler(args.series, args.points, args.horizon, Path(folder))
        wall, processor = list[float](), list[float]()
        for _ in range(args.rounds):
            start, used = time.perf_counter(), time.process_time()
            responses = handler.respond(json.loads(body))
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
    seconds = statistics.median(wall)
    work = f"forecasts of {args.series:,} series with {args.points} values, one request"
    print(f"{work}: {seconds:.2f} s, {statistics.median(processor):.2f} s of processor time, load {load:.1f}")
    print(f"{len(responses):,} steps; limit {LIMIT:.0f} s")
    figures.write(args.json, [figures.Figure(work, seconds, LIMIT, "s", note="in one process, without the network")])
    return int(load < BUSY_LOAD and seconds > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
