"""One definition of a response: the same bits for one row, for many, by column and compiled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.contracts.decisions import Beta, Decision, Isotonic, Sigmoid, Temperature, ValueInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks import responders
from mlnb.methods.tasks.responders import compile_responder, respond, respond_by_column
from mlnb.methods.tasks.task_traits import Task

BINARY = ProblemContract(task=Task.BINARY, classes=("no", "yes"))
SEVERAL = ProblemContract(task=Task.MULTICLASS, classes=("a", "b", "c"))
REGRESSION = ProblemContract(task=Task.REGRESSION)
share = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-300, 5e-324, 1 - 2**-53])
knots = st.lists(share, min_size=1, max_size=9, unique=True).map(sorted).map(tuple)
maps = st.none() | knots.map(lambda x: Isotonic(x=x, y=tuple(sorted(x, key=lambda v: v * v))))
values = st.floats(allow_nan=False, allow_infinity=False, width=32)


def bits(response):
    """Return a response with its numbers in hexadecimal: equal for equal bits only."""
    if isinstance(response, float):
        return response.hex()
    if isinstance(response, dict):
        return {name: bits(value) for name, value in response.items()}
    fields = getattr(response, "__struct_fields__", ())
    return {name: bits(getattr(response, name)) for name in fields} if fields else response


@settings(max_examples=200)
@given(st.lists(share, min_size=1, max_size=30), maps, st.none() | share)
def test_a_compiled_classifier_gives_the_bits_of_the_definition(shares, map_, threshold):
    p = np.c_[1 - np.array(shares), shares]
    decision = Decision(calibration=map_, threshold=threshold)
    responder = compile_responder(BINARY, decision)
    expected = [bits(response) for response in respond(p, BINARY, decision)]
    assert [bits(responder(row)) for row in p.tolist()] == expected
    assert "define" not in responder.__qualname__


@settings(max_examples=200)
@given(
    st.lists(values, min_size=1, max_size=30),
    st.lists(values, min_size=1, max_size=9, unique=True).map(sorted).map(tuple),
    st.floats(-9, 9),
    st.floats(-9, 9),
)
def test_a_compiled_regression_gives_the_bits_of_the_definition(numbers, x, low, high):
    interval = ValueInterval(low=low, high=high, x=x, scale=tuple(abs(knot) + 0.5 for knot in x))
    for decision in (Decision(), Decision(interval=interval)):
        responder = compile_responder(REGRESSION, decision)
        expected = [bits(response) for response in respond(np.array(numbers), REGRESSION, decision)]
        assert [bits(responder([number])) for number in numbers] == expected


@pytest.mark.parametrize(
    "decision",
    [
        Decision(),
        Decision(calibration=Temperature(temperature=1.7)),
        Decision(costs=((0.0, 1.0, 1.0), (9.0, 0.0, 1.0), (1.0, 1.0, 0.0))),
    ],
)
def test_a_compiled_multiclass_response_gives_the_bits_of_the_definition(decision):
    p = np.random.default_rng(0).dirichlet(np.full(3, 0.3), 300)
    p[:2] = [[0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]]
    responder = compile_responder(SEVERAL, decision)
    assert [bits(responder(row)) for row in p.tolist()] == [bits(one) for one in respond(p, SEVERAL, decision)]


@pytest.mark.parametrize(
    "decision",
    [
        Decision(calibration=Sigmoid(a=1.1, c=0.2)),
        Decision(calibration=Beta(a=0.7, b=1.3, c=0.1), threshold=0.4),
        Decision(costs=((0.0, 5.0), (1.0, 0.0))),
    ],
)
def test_a_decision_without_a_short_form_uses_the_definition(decision):
    p = np.random.default_rng(1).random(200)
    p = np.c_[1 - p, p]
    responder = compile_responder(BINARY, decision)
    assert "define" in responder.__qualname__
    assert [bits(responder(row)) for row in p.tolist()] == [bits(one) for one in respond(p, BINARY, decision)]


def test_a_short_form_that_differs_in_one_bit_is_not_used(monkeypatch):
    def off_by_one_bit(x, y):
        return lambda value: float(np.nextafter(np.interp(value, x, y), 2))

    monkeypatch.setattr(responders, "_compile_line", off_by_one_bit)
    decision = Decision(calibration=Isotonic(x=(0.1, 0.9), y=(0.2, 0.7)))
    responder = compile_responder(BINARY, decision)
    assert "define" in responder.__qualname__
    assert responder([0.5, 0.5]) == respond(np.array([[0.5, 0.5]]), BINARY, decision)[0]


def test_columns_hold_what_rows_hold():
    p = np.random.default_rng(2).dirichlet(np.ones(3), 50)
    columns = respond_by_column(p, SEVERAL)
    for index, response in enumerate(respond(p, SEVERAL)):
        assert response.prediction == columns.names[columns.labels[index]]
        assert list(response.probabilities.values()) == columns.probabilities[index].tolist()


def test_a_row_that_competes_with_no_other_ranks_first():
    ranking = ProblemContract(task=Task.RANKING)
    scores = np.array([0.3, 0.1, 0.2])
    assert [one.rank for one in respond(scores, ranking, None, np.array([0, 1, 0]))] == [1, 1, 2]
