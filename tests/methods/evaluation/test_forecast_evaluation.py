"""Forecast evaluation: golden requests with columns known ahead, and single periods instead of blocks."""

import numpy as np
import pandas as pd
import pytest

from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation.forecast_evaluation import (
    ForecastEvaluation,
    evaluate_forecaster,
    reference_forecasts,
    score_forecasts,
)
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.series.calendars import Frequency
from mlnb.methods.series.forecast_windows import Windows
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.training_data.forecast_examples import fit_windows, learn_fan, periods_of

KINDS = {"day": "date", "shop": "category", "sold": "number", "price": "number"}
SCHEMA = Schema(tuple(Column(n, k, "target" if n == "sold" else "feature") for n, k in KINDS.items()), 600)
CONTRACT = ProblemContract(
    task="forecasting", time="day", target="sold", series=("shop",), horizon=7, frequency="D", metric="mase",
    ruler=Frequency("D").ruler,
)  # fmt: skip


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    random, days = np.random.default_rng(0), pd.date_range("2020-01-01", periods=300).astype("datetime64[us]")
    sold = 50 + 10 * np.sin(2 * np.pi * np.arange(300) / 7) + random.normal(0, 2, 300)
    both = pd.DataFrame({"day": np.r_[days, days], "shop": ["a"] * 300 + ["b"] * 300, "sold": np.r_[sold, sold * 9]})
    both = both.sort_values("day", kind="stable").reset_index(drop=True)
    return both.assign(price=np.arange(600.0) % 5)


@pytest.fixture(scope="module")
def fitted(table: pd.DataFrame) -> tuple[Windows, ForecastEvaluation]:
    encoder = fit_windows(CONTRACT, SCHEMA, table[:480], known_ahead=["price"])
    learned = learn_fan(CONTRACT, SCHEMA, encoder, table[:480])
    model = fit_model("seasonal_naive", {}, learned.X, learned.y, "forecasting")
    return encoder, evaluate_forecaster(CONTRACT, SCHEMA, encoder, model, Decision(), table[:480], table[480:], 20)


def test_golden_request_contains_known_future_values(fitted: tuple[Windows, ForecastEvaluation]) -> None:
    rows = fitted[1].golden.rows
    assert [row["sold"] for row in rows[-14:]] == [None] * 14 and rows[-1]["price"] is not None
    assert {row["shop"] for row in rows} == {"a", "b"} and len(fitted[1].golden.predictions) == 14


def test_golden_predictions_are_those_of_the_table(fitted: tuple[Windows, ForecastEvaluation]) -> None:
    evaluation = fitted[1]
    last = evaluation.table[evaluation.table["origin"] == evaluation.table["origin"].max()]
    assert last["prediction"].tolist() == [response["prediction"] for response in evaluation.golden.predictions]
    error = evaluation.table["truth"] - evaluation.table["prediction"]
    assert np.isclose(evaluation.metrics.scores["rmse"].value ** 2, np.mean(error**2))


def test_baselines_are_reproducible(fitted: tuple[Windows, ForecastEvaluation], table: pd.DataFrame) -> None:
    encoder, evaluation = fitted
    learned, cut = learn_fan(CONTRACT, SCHEMA, encoder, table[:480]), int(periods_of(table[:480], CONTRACT).max())
    again = reference_forecasts(evaluation.fan, evaluation.histories, encoder, learned, cut)
    assert again["ets"].tobytes() == evaluation.forecasts["ets"].tobytes()


def test_a_single_period_has_no_blocks(fitted: tuple[Windows, ForecastEvaluation]) -> None:
    evaluation = fitted[1]
    first = evaluation.fan.period == evaluation.fan.period.min()
    forecasts = {who: values[first] for who, values in evaluation.forecasts.items()}
    assert score_forecasts(evaluation.fan.pick(first), forecasts, "wape", 7, 20).deciding.name == "wape"
