"""Response bodies: JSON with the same numbers as Python's own encoder, and an error instead of NaN."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.methods.contracts.responses import (
    AnomalyExplanation,
    AnomalyResponse,
    ClassResponse,
    ForecastResponse,
    Interval,
    RankResponse,
    SumExplanation,
    ValueResponse,
    to_wire,
)
from mlnb.serving.runtime.response_bodies import encode_responses, to_values

INTERVAL = Interval(low=-1.5, high=2e-7)
RESPONSES = [
    [ClassResponse(prediction="no", probabilities={"no": 0.75, "yes": 0.25})],
    [ClassResponse(prediction="null", probabilities={"null": 1.0, "ünïcödé": 0.0})],
    [ValueResponse(prediction=1e22), ValueResponse(prediction=-0.0, interval=INTERVAL)],
    [AnomalyResponse(prediction="normal", score=0.1)],
    [RankResponse(score=0.1, rank=2)],
    [ForecastResponse(time="2024-01-01", series={"shop \ud800": "north"}, prediction=1.0, interval=INTERVAL)],
    [],
]


@pytest.mark.parametrize("responses", RESPONSES)
def test_the_text_holds_what_a_client_receives(responses):
    assert json.loads(encode_responses(responses)) == to_wire(responses) == to_values(responses)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_keep_their_bits(value):
    (record,) = json.loads(encode_responses([ValueResponse(prediction=value)]))
    assert float(record["prediction"]).hex() == value.hex()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_hold_is_an_error(value):
    for response in (
        ValueResponse(prediction=value),
        ValueResponse(prediction=1.0, interval=Interval(low=0.0, high=value)),
        ClassResponse(prediction="null", probabilities={"null": value}),
        ForecastResponse(time="2024-01-01", series={}, prediction=value),
    ):
        with pytest.raises(ValueError, match="Out of range float"):
            encode_responses([response])


def test_explanations_come_with_their_responses():
    price = SumExplanation(score=2.0, base=0.5, columns={"size": 1.5})
    (value,) = json.loads(encode_responses([ValueResponse(prediction=2.0)], [price]))
    assert value["explanation"] == {"class": None, "score": 2.0, "base": 0.5, "columns": {"size": 1.5}}
    words = {"note": {"new": 0.25}}
    noted = SumExplanation(score=2.0, base=0.5, columns={"note": 1.5}, words=words)
    (value,) = json.loads(encode_responses([ValueResponse(prediction=2.0)], [noted]))
    assert value["explanation"]["words"] == words
    rare = AnomalyExplanation(columns={"size": 3.0})
    (alert,) = to_values([AnomalyResponse(prediction="anomaly", score=3.0)], [rare])
    assert alert == {"prediction": "anomaly", "score": 3.0, "explanation": {"columns": {"size": 3.0}}}
    with pytest.raises(ValueError, match="shorter"):
        to_values([ValueResponse(prediction=2.0)] * 2, [price])
