"""Logged production data of forecasts does not depend on what the user's columns are called."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.problems import ProblemContract, Ruler
from mlnb.methods.contracts.responses import series_field
from mlnb.methods.operations.challenge_pairs import FreshResponses, pair_steps
from mlnb.methods.operations.labeled_feedback import logged_values, series_scales, step_truth, steps_of
from mlnb.methods.operations.logged_data import new_periods

NEUTRAL = ("day", "shop", "sold", "price")
OURS = [
    ("time", "series", "period", "step"),
    ("requested_at", "request", "truth", "fresh"),
    ("period", "model", "at", "row"),
    ("step", "scale", "series", "origin"),
]
ENCODER = {"sizes": [["north", 2.0, 3.0], ["south", 4.0, 5.0]], "season": 7, "horizon": 2}


def example(names):
    """Return contract, history and log of two series whose columns have these names."""
    time, key, target, other = names
    contract = ProblemContract(
        task="forecasting", time=time, series=(key,), target=target, horizon=2, metric="mase", ruler=Ruler(unit="D")
    )
    days = pd.date_range("2024-01-01", periods=12).strftime("%Y-%m-%d")
    parts = [pd.DataFrame({time: days, key: name, target: np.arange(12.0), other: 1.5}) for name in ("north", "south")]
    table = pd.concat(parts, ignore_index=True)
    sent = table.add_prefix("in.").assign(request="a", time=1.0, model="v1", row=range(len(table)))
    forecasts = pd.DataFrame(
        {"out.time": "2024-01-12", f"out.{series_field(key)}": ["north", "south"], "out.prediction": [9.0, 8.0]}
    )
    log = pd.concat([sent, forecasts.assign(request="b", time=2.0, model="v1", row=[0, 1])], ignore_index=True)
    return contract, table[table[time] <= "2024-01-08"], table[table[time] > "2024-01-08"], log


def outcomes(names):
    """Return what is collected, judged and compared."""
    contract, history, fresh, log = example(names)
    steps, values = steps_of(log, contract), logged_values(log, contract)
    truth = step_truth(steps, values, [None, "10.5"], contract.target)
    scales = series_scales(["north", "new"], ENCODER, values, contract.target)
    rows, periods = new_periods(log, steps, [None, "10.5"], contract, history)
    responses = [[{"time": "2024-01-09", series_field(names[1]): key, "prediction": 8.5} for key in ("north", "south")]]
    pair = pair_steps(contract, history, fresh, FreshResponses(responses, responses, 0.0, 0.0, ENCODER))
    columns = rows[list(names)].astype(str).to_numpy().tolist()
    return truth.tolist(), scales.tolist(), columns, periods.tolist(), pair.y.tolist(), pair.champion.tolist()


@pytest.mark.parametrize("names", OURS, ids="-".join)
def test_columns_may_be_named_like_ours(names):
    neutral = outcomes(NEUTRAL)
    assert neutral[0] == [11.0, 10.5] and len(neutral[3]) == 8
    assert outcomes(names) == neutral
