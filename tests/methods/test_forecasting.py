"""Forecasts use no future values, for any series; invalid problems are refused with a reason."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.problem.problem_contract import state
from mlnb.methods.series.calendars import Frequency
from mlnb.methods.series.forecast_windows import NAIVE, Windows
from mlnb.methods.series.lag_features import SHAPE, choose_shape
from mlnb.methods.series.time_series import History
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.training_data.forecast_examples import learn_fan
from mlnb.methods.training_data.forecast_examples import test_fan as examples_of_test
from mlnb.stages.validate import audit_table, stop_on_errors, type_table

SCHEMA = Schema((Column("at", "date"), Column("v", "number", "target")), 0)
VALUES = st.lists(
    st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1e300, -1e-300])), min_size=40, max_size=80
)


def encoder_of(unit: str, horizon: int) -> Windows:
    """Return an encoder learned from a plain series."""
    frequency = Frequency(unit)
    seconds = frequency.stamps(np.arange(60))
    arrays = {"at": seconds, "v": 10 + np.sin(np.arange(60.0))}
    shape = choose_shape(frequency, horizon, 60)
    return Windows.fit(
        arrays, SCHEMA, time="at", target="v", keys=(), frequency=frequency, horizon=horizon,
        shape=shape | {"reach": shape["width"]},
    )  # fmt: skip


ENCODERS = {unit: encoder_of(unit, 5) for unit in ("h", "D", "B", "W", "M", "Q", "Y")}


@settings(max_examples=60)
@given(VALUES, VALUES, st.sampled_from(sorted(ENCODERS)), st.integers(2, 39), st.integers(-9000, 9000))
def test_only_periods_of_the_window_are_read(
    past: list[float | None], other: list[float | None], unit: str, origin: int, first: int
) -> None:
    encoder = ENCODERS[unit]
    values = np.array([np.nan if v is None else v for v in past])
    if not np.isfinite(values[max(0, origin - encoder.reach) : origin]).any():
        return
    changed = values.copy()
    changed[origin:] = np.resize([np.nan if v is None else v for v in other], len(changed) - origin)
    start = max(0, origin - encoder.reach)
    ways = [
        (History((), first, values, {}), origin),
        (History((), first, changed, {}), origin),
        (History((), first + start, values[start:origin], {}), origin - start),
    ]
    with np.errstate(over="ignore", invalid="ignore"):
        fans = [encoder.transform([history], [np.array([last])]) for history, last in ways]
    for fan in fans[1:]:
        assert fan.X.tobytes() == fans[0].X.tobytes()
        assert fan.level.tobytes() == fans[0].level.tobytes()
        assert fan.period.tolist() == fans[0].period.tolist()


def daily(rows: int = 120, **columns: Any) -> pd.DataFrame:
    """Return a raw table of days as text, as from a CSV."""
    days = pd.date_range("2023-01-01", periods=rows).strftime("%Y-%m-%d")
    values = 20 + 5 * np.sin(2 * np.pi * np.arange(rows) / 7) + np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"day": days, "sold": values.round(3), **columns})


def typed(raw: pd.DataFrame, **details: Any) -> tuple[dict[str, Any], Schema, pd.DataFrame, list[dict[str, Any]]]:
    """Return what validate makes of a table."""
    return type_table(raw, state("sold", task="forecasting", details=details), {})


def test_dates_out_of_range_are_dropped_and_reported() -> None:
    raw = daily()
    raw.loc[3, "day"], raw.loc[4, "day"] = "1500-01-01", "2500-06-01"
    contract, schema, table, findings = typed(raw)
    assert len(table) == 118 and contract.frequency == "D"
    undated = next(f for f in findings if f.check == "undated")
    assert undated.rows == 2 and undated.severity == "warning"
    audited, more, _ = audit_table(table, schema, contract)
    assert stop_on_errors(findings + more, audited)
    assert "gaps" in {f.check for f in findings}


@pytest.mark.parametrize(
    ("change", "details", "message"),
    [
        (lambda t: t.head(20), {"horizon": 30}, "State a shorter problem.horizon"),
        (lambda t: t.head(2), {}, "expected three at least"),
        (lambda t: t.assign(day="1500-01-01"), {}, "no row has a timestamp"),
        (lambda t: t.assign(sold=[f"x{i % 5}" for i in range(len(t))]), {}, "expected numbers"),
        (lambda t: t.drop(columns="day").assign(shop="a"), {}, "no column of dates"),
        (lambda t: t, {"time": "dya"}, "did you mean 'day'"),
        (lambda t: t, {"series": ["shop"]}, "no series column 'shop'"),
        (lambda t: t, {"frequency": "lunar"}, "expected one of"),
        (lambda t: t.assign(sold=np.nan), {}, "all are missing"),
    ],
)
def test_an_invalid_forecasting_problem_is_refused(change: Any, details: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        typed(change(daily()), **details)


def test_irregular_timestamps_need_a_frequency_and_are_averaged() -> None:
    random = np.random.default_rng(1)
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.uniform(0, 40 * 24 * 60, 900)), unit="min")
    raw = pd.DataFrame({"at": stamps.astype("datetime64[us]"), "sold": random.normal(size=900)})
    with pytest.raises(ValueError, match=r"follow no frequency.*problem\.frequency"):
        typed(raw)
    contract, _, _, findings = typed(raw, frequency="D")
    assert contract.ruler.unit == "D" and "duplicate timestamps" in {f.check for f in findings}


def test_missing_infinite_and_repeated_values_are_gaps_and_means() -> None:
    raw = daily()
    raw["sold"] = raw["sold"].astype(object)
    raw.loc[10, "sold"], raw.loc[20, "sold"] = None, np.inf
    raw = pd.concat([raw, raw.iloc[[50, 50, 51]]], ignore_index=True)
    contract, schema, table, findings = typed(raw, horizon=7)
    checks = {f.check: f for f in findings}
    assert checks["gaps"].rows == 2 and checks["duplicate timestamps"].rows == 3
    training, test = table[table["day"] < "2023-04-01"], table[table["day"] >= "2023-04-01"]
    options = {"time": "day", "target": "sold", "keys": [], "frequency": Frequency.of(contract.ruler), "horizon": 7}
    arrays = {"day": training["day"].astype("int64").to_numpy() / 1e6, "sold": training["sold"].to_numpy()}
    encoder = Windows.fit(arrays, schema, **options)
    assert np.isfinite(learn_fan(contract, schema, encoder, training).y).all()
    fan, _ = examples_of_test(contract, schema, encoder, training, test)
    assert np.isfinite(fan.y).all() and np.isfinite(fan.X[:, :3]).all()


def test_a_constant_series_is_its_own_forecast() -> None:
    contract, schema, table, _ = typed(daily(sold=5.0), horizon=7)
    arrays = {"day": table["day"].astype("int64").to_numpy() / 1e6, "sold": table["sold"].to_numpy()}
    options = {"time": "day", "target": "sold", "keys": [], "frequency": Frequency.of(contract.ruler), "horizon": 7}
    encoder = Windows.fit(arrays, schema, **options)
    fan = learn_fan(contract, schema, encoder, table)
    assert (fan.y == 0).all() and (fan.truth == 5).all() and (fan.X[:, NAIVE] == 0).all()


def test_a_series_that_ends_early_is_reported() -> None:
    two = pd.concat([daily().assign(shop="a"), daily(9).assign(shop="b")], ignore_index=True)
    contract, _, _, findings = typed(two, horizon=7)
    assert contract.series == ("shop",) and "short series" in {f.check for f in findings}


def test_an_encoder_without_local_models_has_its_columns_as_before() -> None:
    new, history = ENCODERS["M"], History((), 0, 10 + np.sin(np.arange(50.0)), {})
    old = Windows.from_json({name: value for name, value in new.to_json().items() if name not in ("local", "reach")})
    assert old.reach == old.width and not old.local and old.refit_shape().keys() == set(SHAPE) - {"local", "reach"}
    examples = new.transform([history], [np.array([30, 50])])
    retained = [column for column, name in enumerate(new.names) if name not in new.local]
    assert [new.names[column] for column in retained] == list(old.names)
    assert old.transform([history], [np.array([30, 50])]).X.tobytes() == examples.X[:, retained].tobytes()
