"""The model compared with its references on the test set, and the coverage of its intervals, in words."""

import math
from typing import NamedTuple

from mlnb.methods.contracts.evaluations import Estimate, IntervalCheck, Metrics
from mlnb.reports import formatting


class Competitor(NamedTuple):
    """A reference: its key and name, its score, the difference to the model, and whether it may know the test rows."""

    key: str
    title: str
    score: float | None
    difference: Estimate
    may_know_rows: bool = False


def rank_competitors(test: Metrics) -> list[Competitor]:
    """Return the references, the one with the best score in the deciding metric first; those without a score last."""
    competitors = [
        Competitor(
            key,
            test.reference_name(key),
            test.reference_score(key, test.deciding.name),
            reference.difference,
            key == "champion" and test.champion_seen != 0,
        )
        for key, reference in test.references.items()
    ]
    sign = -1 if test.deciding.direction == "maximize" else 1
    return sorted(competitors, key=lambda one: (one.score is None, sign * (one.score or 0.0)))


def is_clear(difference: Estimate) -> bool:
    """Return whether a difference is larger than 0 beyond the uncertainty of the test rows; one without is not."""
    return difference.low is not None and difference.low > 0


def describe_difference(test: Metrics, competitor: Competitor) -> str:
    """Return whether the model is better than a reference, with the interval of the difference."""
    value, low, high = competitor.difference.value, competitor.difference.low, competitor.difference.high
    name = test.reference_name(competitor.key, article=True)
    if value is None or not math.isfinite(value):
        return f"not comparable with {name}"
    if value < 0:
        low, high = (None, None) if low is None or high is None else (-high, -low)
    amount = formatting.number(abs(value))
    if is_clear(competitor.difference):
        text = f"better than {name} by {amount}"
    elif value < 0 and (low is None or low > 0):
        text = f"worse than {name} by {amount}"
    else:
        text = f"not clearly better than {name}: {'worse ' * (value < 0)}by {amount}"
    unsure = ", which may have been trained on these rows" if competitor.may_know_rows else ""
    return f"{text} {formatting.interval(Estimate(value=None, low=low, high=high))}".rstrip() + unsure


def comparison_lines(test: Metrics) -> list[str]:
    """Return the comparison with the strongest reference, and with the linear baseline unless it is clearly worse."""
    if not test.labeled:
        return describe_unlabeled(test)
    ranked = [one for one in rank_competitors(test) if one.score is not None]
    shown = ranked[:1] + [one for one in ranked[1:] if one.key == "linear" and not is_clear(one.difference)]
    return [describe_difference(test, one) for one in shown]


def describe_unlabeled(test: Metrics) -> list[str]:
    """Return that the accuracy of alerts without labels is unknown, and what their stability shows."""
    chance = test.reference_score("dummy", test.deciding.name)
    usual = "" if chance is None else f", {formatting.number(chance)} by chance"
    stability = f"{formatting.number(test.deciding.value or 0.0)} {formatting.interval(test.deciding)}{usual}"
    return [
        "accuracy unknown: no row has a label",
        f"stability {stability}: the share of the alerts of a second detector that this one raises, too; it does not "
        "show that they are anomalies",
    ]


def describe_coverage(check: IntervalCheck | None) -> str:
    """Return the share of true values inside their prediction interval, and whether it is too low; empty without."""
    if check is None or check.coverage.value is None:
        return ""
    low, high = check.coverage.low, check.coverage.high
    ends = "" if low is None or high is None else f" [{100 * low:.3g} %, {100 * high:.3g} %]"
    verdict = "" if check.passed else ", missed: the intervals are too narrow"
    result, expected = f"{100 * check.coverage.value:.3g} %{ends}", f"{100 * check.nominal:.3g} % expected"
    return f"{result} of true values in their interval, {expected}{verdict}"
