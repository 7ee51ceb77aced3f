"""Frequencies, timestamps and holidays."""

from datetime import UTC, datetime

import numpy as np
import pytest

from mlnb.errors import DataError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.series.calendars import (
    Frequency,
    calendar,
    calendar_names,
    holiday_days,
    infer_frequency,
    read_frequency,
)
from mlnb.methods.series.forecast_windows import Windows, request_schema
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.tables.values import EPOCH


def at(*texts: str) -> np.ndarray:
    return np.array([(datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH).total_seconds() for text in texts])


def test_texts_of_frequencies() -> None:
    assert [str(read_frequency(text)) for text in ("15min", "H", "weekly", "2W")] == ["15min", "h", "W", "2W"]
    seasons = [read_frequency(text).season for text in ("15min", "h", "D", "M", "Q", "Y", "10s")]
    assert seasons == [96, 24, 7, 12, 4, 1, 6]
    monthly = read_frequency("MS", at("1749-01-01", "1749-02-01", "1983-12-01"))
    assert read_frequency("W").horizon == 13 and Frequency(**monthly.to_json()) == monthly


@pytest.mark.parametrize("text", ["fortnight", "0D", ""])
def test_unknown_frequencies(text: str) -> None:
    with pytest.raises(DataError, match="expected one of"):
        read_frequency(text)


def test_two_timestamps_have_no_frequency() -> None:
    with pytest.raises(DataError, match="expected three"):
        infer_frequency(at("2024-01-01", "2024-01-02"))


@pytest.mark.parametrize("unit", ["min", "h", "B", "W", "M", "Q", "Y"])
def test_each_frequency_names_its_columns(unit: str) -> None:
    days = at("2023-01-01", "2023-01-02", "2023-01-03")
    assert calendar(days, Frequency(unit)).shape == (3, len(calendar_names(Frequency(unit))))


def test_holidays_that_are_not_known() -> None:
    german = holiday_days("DE", 2023, 2023)
    with pytest.raises(DataError, match="expected a code"):
        holiday_days("Atlantis", 2020, 2020)
    with pytest.raises(DataError, match="train again"):
        calendar(at("2090-01-01"), Frequency("D"), german)


def test_a_series_without_enough_values_in_any_window_is_refused_by_name() -> None:
    schema = Schema((Column("day", "date"), Column("value", "number", "target")))
    contract = ProblemContract(task="forecasting", time="day", target="value")
    days = at(*[f"{year}-{month:02}-{1 + month:02}" for year in (2020, 2021, 2022) for month in range(1, 13)])
    table = {"day": days, "value": np.arange(36.0)}
    about = {"time": "day", "target": "value", "keys": [], "horizon": 14}
    with pytest.raises(DataError, match=r"values within .* expected 7 at least .* state a longer problem\.frequency"):
        Windows.fit(table, request_schema(schema, contract), frequency=Frequency("D"), **about)
    assert Windows.fit(table, request_schema(schema, contract), frequency=Frequency("M"), **about).least > 1
