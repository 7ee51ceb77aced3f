"""X of the estimators: what `fit` accepts is predicted with the values that were learned, or `fit` refuses it."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mlnb
from mlnb.api.estimator_frames import to_columns

FAST = {"trials": 1, "families": ("linear",), "n_jobs": 1}
ROWS = 24
DAY = pd.Timestamp("2024-01-05")
SPELLINGS = {  # a number -> how a column holds it
    "money": lambda i: f"${i}.50",
    "decimal comma": lambda i: f"{i},5",
    "thousands": lambda i: f"{i + 1}.000.000",
    "percent": lambda i: f"{i}.5%",
    "unit": lambda i: f"{i}.5 kg",
    "negative": lambda i: f"({i}.00)",
    "clock": lambda i: f"{i:02d}:30",
    "day first": lambda i: (DAY + pd.Timedelta(days=9 * i)).strftime("%d.%m.%Y"),
    "month first": lambda i: (DAY + pd.Timedelta(days=9 * i)).strftime("%m/%d/%Y"),
    "missing": lambda i: "?" if i % 5 == 0 else f"{i}.5",
    "blank": lambda i: "" if i % 3 == 0 else f"{i}.5",
    "yes and no": lambda i: " Yes " if i % 2 else "no",
    "mixed": lambda i: "x" if i % 2 else i,
    "decimal": lambda i: Decimal(i) / 8,
    "bytes": lambda i: b"a" if i % 2 else b"b",
    "lists": lambda i: [i % 3],
    "records": lambda i: {"a": i % 3},
    "days": lambda i: (DAY + pd.Timedelta(days=i)).date(),
    "durations": lambda i: pd.Timedelta(hours=i),
    "periods": lambda i: pd.Period("2024-01", "M") + i,
    "intervals": lambda i: pd.Interval(i % 3, i % 3 + 1),
    "large integers": lambda i: 2**70 + i,
    "extended precision": lambda i: np.longdouble(i) / 8,
    "infinite": lambda i: np.inf if i == 3 else i / 8,
    "infinite text": lambda i: "inf" if i == 3 else f"{i}.5",
    "a stray word": lambda i: "n. k." if i == 3 else f"{i}.5",
    "complex": lambda i: 1j * i,
}


@settings(max_examples=12)
@given(
    st.lists(st.sampled_from(sorted(SPELLINGS)), min_size=1, max_size=3, unique=True), st.sampled_from(["", "category"])
)
def test_what_is_learned_is_predicted(kinds, dtype):
    order = np.random.default_rng(0).permutation(ROWS)
    columns = {kind: pd.Series([SPELLINGS[kind](int(i)) for i in order]) for kind in kinds}
    frame = pd.DataFrame({"number": order % 7, **columns})
    if dtype and not {"lists", "records", "extended precision"} & {*kinds}:
        frame = frame.astype(dict.fromkeys(kinds, dtype))
    try:
        model = mlnb.TableRegressor(**FAST).fit(frame, order + 0.25)
    except ValueError as error:
        assert {*kinds} & {"complex", "infinite", "infinite text", "a stray word"}, error
        assert "found" in str(error).lower() and "expected" in str(error)
        return
    predicted = model.predict(frame)
    assert np.array_equal(predicted[3:4], model.predict(frame.iloc[3:4]))
    ordered = {"money", "decimal comma", "thousands", "negative", "day first", "month first", "days", "decimal"}
    if {*kinds} & ordered:
        assert np.corrcoef(predicted, order)[0, 1] > 0.9  # its values are read, and not missing


@pytest.mark.parametrize("kind", ["complex", "infinite", "infinite text"])
def test_fit_refuses_what_no_model_reads(kind):
    frame = pd.DataFrame({"number": np.arange(ROWS) % 7, kind: [SPELLINGS[kind](i) for i in range(ROWS)]})
    with pytest.raises(ValueError, match=rf"olumn '{kind}'.*found .*expected"):
        mlnb.TableRegressor(**FAST).fit(frame, np.arange(ROWS) ** 1.5)


def test_a_column_that_is_no_feature_may_hold_anything():
    frame = pd.DataFrame({"number": np.arange(ROWS) % 7, "name": [str(i) for i in range(ROWS)], "one": ["x"] * ROWS})
    model = mlnb.TableRegressor(**FAST).fit(frame, np.arange(ROWS) ** 1.5)
    assert [column.name for column in model.parts_.schema.features] == ["number"]
    again = frame.assign(name="n. k.", one=[[row] for row in range(ROWS)])
    assert np.array_equal(model.predict(again), model.predict(frame))


def test_columns_are_found_by_name_and_else_by_position():
    frame = pd.DataFrame({0: np.arange(9.0), 1: np.ones(9)})
    table = pa.table({"a": np.arange(9.0), "b": np.ones(9)})
    model = mlnb.TableRegressor()
    model.columns_ = tuple(to_columns(model, table, reset=True))
    assert model.columns_ == ("a", "b") and model.feature_names_in_.tolist() == ["a", "b"]
    with pytest.warns(UserWarning, match="valid feature names"):
        assert list(to_columns(model, frame.to_numpy(), reset=False)) == ["a", "b"]
    model = mlnb.TableRegressor()
    model.columns_ = tuple(to_columns(model, frame, reset=True))
    assert list(to_columns(model, frame[[1, 0]], reset=False)["0"]) == list(range(9))
    with pytest.raises(ValueError, match="features"):
        to_columns(model, frame[[1]], reset=False)
