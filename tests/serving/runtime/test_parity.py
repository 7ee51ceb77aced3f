import math

import pytest

from mlnb.serving.runtime.parity import Difference, find_difference


def test_identical_answers_have_no_difference():
    predictions = [{"prediction": "a", "probabilities": {"a": 0.1 + 0.2, "b": 0.7}}, {"prediction": 2.0}]
    assert find_difference(predictions, predictions) is None
    assert find_difference([], []) is None
    assert find_difference([{"x": math.nan}], [{"x": math.nan}]) is None


@pytest.mark.parametrize(
    ("returned", "expected", "difference"),
    [
        ([{"p": 0.1 + 0.2}], [{"p": 0.3}], Difference(0, "p", 0.1 + 0.2, 0.3)),
        ([{"p": -0.0}], [{"p": 0.0}], Difference(0, "p", -0.0, 0.0)),
        ([{"p": 1}], [{"p": 1.0}], Difference(0, "p", 1, 1.0)),
        ([{"p": True}], [{"p": 1}], Difference(0, "p", True, 1)),
        ([{"p": {"a": 1.0}}], [{"p": {"a": 1.0, "b": 0.0}}], Difference(0, "p.b", "nothing", 0.0)),
        ([{"p": {"a": 1.0, "b": 0.0}}], [{"p": {"a": 1.0}}], Difference(0, "p.b", 0.0, "nothing")),
        ([{"p": [1.0, 2.0]}], [{"p": [1.0, 3.0]}], Difference(0, "p[1]", 2.0, 3.0)),
        ([{"p": 1.0}], [{"p": 1.0}, {"p": 2.0}], Difference(1, "", "1 predictions", "2 predictions")),
        (["a", "b"], ["a", "c"], Difference(1, "", "b", "c")),
    ],
)
def test_the_first_difference_is_named(returned, expected, difference):
    assert repr(find_difference(returned, expected)) == repr(difference)


def test_a_difference_has_a_readable_message():
    assert str(Difference(3, "p.yes", 0.2, 0.3)) == "row 3, p.yes: found 0.2, expected 0.3"
    assert (
        str(Difference(1, "", "1 predictions", "2 predictions"))
        == "row 1: found '1 predictions', expected '2 predictions'"
    )
