"""The strongest reference is named, whatever it is, and a difference that may be chance is called so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.codec import replace
from mlnb.methods.contracts.evaluations import (
    DecidingMetric,
    Estimate,
    ForecastErrors,
    GroupErrors,
    IntervalCheck,
    Metrics,
    Reference,
)
from mlnb.reports.competitors import comparison_lines, describe_coverage, rank_competitors

EXPECTED = "of true values in their interval, 90 % expected"


def measured(direction="maximize", **references):
    """Return metrics with references as `who=(score, difference, low, high)`."""
    deciding = DecidingMetric(name="m", direction=direction, value=0.9, low=0.8, high=0.95)
    compared = {
        who: Reference(scores={"m": score}, difference=Estimate(value=value, low=low, high=high))
        for who, (score, value, low, high) in references.items()
    }
    return Metrics(rows=50, resamples=100, level=0.95, deciding=deciding, scores={}, references=compared)


def as_forecast(metrics):
    empty = GroupErrors(groups=(), mase={})
    return replace(metrics, forecast=ForecastErrors(origins=1, by_step=empty, by_series=empty))


def test_the_strongest_reference_is_compared():
    metrics = measured(dummy=(0.5, 0.4, 0.3, 0.5), linear=(0.85, 0.05, 0.01, 0.09), champion=(0.88, 0.02, -0.01, 0.05))
    assert [one.key for one in rank_competitors(metrics)] == ["champion", "linear", "dummy"]
    (line,) = comparison_lines(replace(metrics, champion_seen=0))
    assert line == "not clearly better than the champion: by 0.02000 [−0.01000, 0.05000]"
    assert comparison_lines(metrics)[0].endswith("which may have been trained on these rows")


def test_a_model_that_is_not_clearly_better_than_linear_is_called_so():
    metrics = measured(
        direction="minimize", dummy=(2.0, 1.1, 1.0, 1.2), linear=(0.91, 0.01, -0.1, 0.2), ets=(0.9, 0.0, -0.1, 0.1)
    )
    first, second = comparison_lines(metrics)
    assert first.startswith("not clearly better than exponential smoothing")
    assert second == "not clearly better than the linear baseline: by 0.01000 [−0.1000, 0.2000]"
    clear = measured(dummy=(0.5, 0.4, 0.3, 0.5), linear=(0.85, 0.05, 0.01, 0.09))
    assert comparison_lines(clear) == ["better than the linear baseline by 0.05000 [0.01000, 0.09000]"]


def test_a_worse_model_is_called_so_with_the_interval_of_how_much():
    (line,) = comparison_lines(measured(dummy=(0.95, -0.05, -0.09, -0.01)))
    assert line == "worse than the dummy baseline by 0.05000 [0.01000, 0.09000]"
    (line,) = comparison_lines(measured(dummy=(0.95, -0.05, None, None)))
    assert line == "worse than the dummy baseline by 0.05000"


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_only_an_interval_on_one_side_of_zero_decides(value, below, above):
    low, high = value - below, value + above
    (line,) = comparison_lines(measured(dummy=(0.5, value, low, high)))
    assert line.startswith("better than") == (low > 0) and line.startswith("worse than") == (high < 0)


def test_references_of_forecasts_have_their_names():
    metrics = as_forecast(measured(dummy=(0.95, -0.05, -0.09, -0.01), ets=(0.5, 0.4, 0.1, 0.5)))
    assert [one.title for one in rank_competitors(metrics)] == ["seasonal-naive forecast", "exponential smoothing"]
    assert comparison_lines(metrics) == ["worse than the seasonal-naive forecast by 0.05000 [0.01000, 0.09000]"]


def test_undefined_scores_are_not_compared():
    metrics = measured(dummy=(None, None, None, None), linear=(0.8, None, None, None))
    assert comparison_lines(metrics) == ["not comparable with the linear baseline"]
    assert comparison_lines(measured()) == []


def test_without_labels_no_comparison_is_a_success():
    stable = DecidingMetric(name="stability", direction="maximize", value=1.0, low=0.48, high=1.0)
    chance = Reference(scores={"stability": 0.05}, difference=Estimate(value=0.95, low=0.43, high=0.95))
    metrics = replace(measured(), deciding=stable, references={"dummy": chance})
    unknown, meaning = comparison_lines(metrics)
    assert unknown == "accuracy unknown: no row has a label"
    assert meaning.startswith("stability 1.000 [0.4800, 1.000], 0.05000 by chance")
    assert "does not show that they are anomalies" in meaning


@pytest.mark.parametrize(
    ("coverage", "passed", "expected"),
    [
        ((0.79, 0.7, 0.86), False, f"79 % [70 %, 86 %] {EXPECTED}, missed: the intervals are too narrow"),
        ((0.912, None, None), True, f"91.2 % {EXPECTED}"),
        ((None, None, None), True, ""),
    ],
)  # fmt: skip
def test_missed_coverage_is_stated(coverage, passed, expected):
    value, low, high = coverage
    estimate = Estimate(value=value, low=low, high=high)
    assert (
        describe_coverage(IntervalCheck(nominal=0.9, coverage=estimate, width=1.0, score=1.0, passed=passed))
        == expected
    )
    assert describe_coverage(None) == ""
