"""Every request gets predictions or a refusal with reasons."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.serving.runtime.json_rows import read_rows
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRequest

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates().map(str)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
FITTING = {
    "age": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**300), 10**300),
    "fare paid €": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "sex": st.none() | st.text() | st.booleans() | st.integers(),
    "note": st.none() | st.text(),
    "ok": st.none() | st.booleans(),
    "day": st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
}
COLUMNS = st.sampled_from([*FITTING, "survived", "other", ""])


@pytest.fixture(scope="module")
def predictor(material, tmp_path_factory):
    return Predictor.load(material("linear").bundle(tmp_path_factory.mktemp("any") / "service").folder / "model")


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(rows=st.lists(st.dictionaries(COLUMNS, VALUES, max_size=8), max_size=3) | VALUES)
def test_any_json_gets_predictions_or_a_refusal(predictor, rows):
    try:
        predictions = predictor.predict(read_rows(json.dumps(rows).encode()))
    except BadRequest as error:
        assert error.status in (400, 422)
        json.loads(error.refusal().encode())
        assert all(problem.found and problem.expected for problem in error.problems)
    else:
        assert len(predictions) == len(rows)


@settings(max_examples=150, derandomize=True)
@given(rows=st.lists(st.fixed_dictionaries(FITTING), min_size=1, max_size=3))
def test_valid_rows_get_equal_predictions_alone_and_in_a_batch(predictor, rows):
    rows = read_rows(json.dumps(rows).encode())
    predictions = predictor.predict(rows)
    assert predictions == [predictor.predict([row])[0] for row in rows]
    for prediction in predictions:
        assert all(math.isfinite(value) and 0 <= value <= 1 for value in prediction["probabilities"].values())


@settings(max_examples=100, derandomize=True)
@given(body=st.binary(max_size=50))
def test_any_bytes_are_rows_or_refused(body):
    try:
        assert isinstance(read_rows(body), list)
    except BadRequest as error:
        assert error.status == 400
