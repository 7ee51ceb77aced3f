"""The horizon of a forecast, as a goal states it in words."""

import numpy as np
import pandas as pd
import pytest

from mlnb.errors import DataError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.problem.problem_contract import state
from mlnb.stages.validate import type_table


def contract_of(goal: str, frequency: str, periods: int = 120, **details: object) -> ProblemContract:
    """Return the contract of a series with this frequency."""
    days = pd.date_range("2015-01-01", periods=periods, freq=frequency).strftime("%Y-%m-%d %H:%M")
    raw = pd.DataFrame({"at": days, "sold": np.sin(np.arange(periods)).round(3).astype(str)})
    return type_table(raw, state("sold", goal=goal, details=details), {})[0]


@pytest.mark.parametrize(
    ("goal", "frequency", "horizon"),
    [
        ("forecast the next 14 days with a wape of at most 20 %", "D", 14),
        ("forecast the next 2 weeks", "D", 14),
        ("forecast 1 day ahead", "h", 24),
        ("forecast the coming 2 weeks", "B", 10),
        ("forecast the next 2 quarters", "MS", 6),
        ("forecast with a horizon of 9", "MS", 9),
        ("forecast the next 5 steps", "W", 5),
    ],
)
def test_the_goal_states_the_horizon(goal: str, frequency: str, horizon: int) -> None:
    contract = contract_of(goal, frequency)
    assert (contract.task, contract.horizon) == ("forecasting", horizon)
    assert contract.sources["horizon"] == "inferred: named in the goal"


def test_horizons_that_fit_no_period_or_differ() -> None:
    with pytest.raises(DataError, match=r"names 14 days ahead, a period is M"):
        contract_of("forecast the next 14 days", "MS")
    with pytest.raises(DataError, match=r"names 14 periods ahead, but problem.horizon is 7"):
        contract_of("forecast the next 14 days", "D", horizon=7)
    assert contract_of("forecast the next 14 days", "D", horizon=14).horizon == 14  # as a retraining states both
