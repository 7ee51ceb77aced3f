"""Goals in words: every number becomes a field of the problem, or an error quotes it."""

import re

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import ParameterError
from mlnb.methods.contracts.evaluations import DecidingMetric, Estimate, Metrics, Reference
from mlnb.methods.evaluation.test_evaluation import make_gate
from mlnb.methods.metrics.goals import METRIC_TASKS
from mlnb.methods.problem.goal_text import MetricBound, StatedGoal, read_goal
from mlnb.methods.problem.problem_contract import complete, state

METRICS = {  # words -> metric, whether the bound is 1 minus the number, whether the metric is a share
    "AUC": ("roc_auc", False, True),
    "area under the ROC curve": ("roc_auc", False, True),
    "balanced accuracy": ("balanced_accuracy", False, True),
    "accuracy": ("accuracy", False, True),
    "error rate": ("accuracy", True, True),
    "F1 score": ("f1", False, True),
    "recall": ("recall", False, True),
    "sensitivity": ("recall", False, True),
    "precision": ("precision", False, True),
    "false positive rate": ("false_positive_rate", False, True),
    "specificity": ("false_positive_rate", True, True),
    "MAE": ("mae", False, False),
    "RMSE": ("rmse", False, False),
    "log loss": ("log_loss", False, False),
    "MAPE": ("mape", False, True),
}
LOWER = ("of at least", "≥", ">=", ">", "above", "no less than", "must not be below", "greater than or equal to")
UPPER = ("of at most", "≤", "<=", "<", "below", "under", "no more than", "must not exceed", "less than or equal to")
PLAIN = ("of", ":", "=", "is", "to")


def number_text(value: float, style: str) -> str:
    """The value as a decimal, with a decimal comma, or in percent."""
    if style == "percent":
        return f"{value * 100:g} %"
    text = f"{value:g}"
    return text.replace(".", ",") if style == "comma" else text


@settings(max_examples=200)
@given(
    words=st.sampled_from(sorted(METRICS)),
    value=st.integers(1, 99).map(lambda n: n / 100),
    style=st.sampled_from(["decimal", "comma", "percent"]),
    position=st.sampled_from(["after", "before", "suffix"]),
    data=st.data(),
)
def test_phrasings(words: str, value: float, style: str, position: str, data: st.DataObject) -> None:
    metric, flipped, share = METRICS[words]
    if style == "percent" and not share:
        style = "decimal"
    up = (METRIC_TASKS[metric][1] == "maximize") != flipped
    number = number_text(value, style)
    if position == "after":
        goal = f"{words} {data.draw(st.sampled_from((LOWER if up else UPPER) + PLAIN))} {number}"
    elif position == "before":
        goal = f"with {'at least' if up else 'at most'} {number} {words}"
    else:
        goal = f"a {words} of {number} or {'more' if up else 'less'}"
    goal = data.draw(st.sampled_from(["", "find leavers, with "])) + goal
    (bound,) = read_goal(goal, stated=True).bounds
    assert (bound.metric, bound.bound) == (metric, pytest.approx(1 - value if flipped else value)), goal


@settings(max_examples=100)
@given(
    metric=st.sampled_from(sorted(METRICS)),
    first=st.sampled_from(
        ["two", "seven", "twelve", "thirteen", "ninety", "half", "hundred", "ninety-five", "one in ten"]
    ),
    template=st.sampled_from(
        ["{m} of {w}", "{w} percent {m}", "{m} above {w}", "forecast {w} days ahead", "within {w} ms"]
    ),
)
def test_numbers_in_words_are_refused(metric: str, first: str, template: str) -> None:
    with pytest.raises(ParameterError, match="a number in words"):
        read_goal(template.format(m=metric, w=first), stated=True)


@settings(max_examples=100)
@given(
    metric=st.sampled_from(sorted(METRICS)),
    other=st.sampled_from(
        ["training", "macro", "weighted", "median", "relative", "adjusted", "per-class", "lower bound of"]
    ),
    between=st.sampled_from([" ", " (", ": "]),
)
def test_metrics_of_another_meaning_are_refused(metric: str, other: str, between: str) -> None:
    goal = f"{other}{between}{metric} of 0.5"
    if goal == "macro F1 score of 0.5":  # a separate metric
        assert [bound.metric for bound in read_goal(goal, stated=True).bounds] == ["f1_macro"]
        return
    with pytest.raises(ParameterError, match=f"found .{other.split()[0]}"):
        read_goal(goal, stated=True)


WORDS = [
    "precision", "recall", "AUC", "accuracy", "MAE", "F1", "top", "next", "under", "at", "least", "most", "of",
    "by", "in", "the", "percent", "ms", "days", "alerts", "day", "a", "coverage", "customers", "cost", "costs",
    "false", "positive", "negative", "and", "improve", "reduce", "Q3", "NDCG", "latency", "%", ",", ".", ";", ">",
    "<=", "1", "0.6", "0,85", "80", "5", "14", "50", "1,500", "-3", ".9", "20%", "3k", "1/2", "0.8-0.9", "2nd",
    "p95", "ndcg@10", "precision@5%", "'line 7'",
]  # fmt: skip


def accounted(goal: StatedGoal) -> set[float]:
    """The numbers that a goal may have contained, from what was read."""
    values = [bound.bound for bound in goal.bounds] + [v for v in goal.fields.values() if isinstance(v, int | float)]
    values += [goal.ahead[0]] if goal.ahead else []
    values += [float(v) for v in goal.fields.values() if isinstance(v, str) and re.fullmatch(r"\d+", v)]
    every = {scale * v for v in values for scale in (1, 100, 1e-3, 1 / 60_000)} | {1 - v for v in values}
    return {round(v, 9) for v in every | {100 * (1 - v) for v in values}}


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join))
def test_no_number_is_dropped(goal: str) -> None:
    try:
        result = read_goal(goal, stated=True)
    except ParameterError as error:
        quoted = re.search(r"found (?P<mark>['\"])(?P<part>.*?)(?P=mark) in the goal", str(error))
        assert quoted and quoted["part"] in goal and "problem.metric" in str(error)
        return
    rest = re.sub(r"'[^']*'|ndcg@10|\bF1\b|\bQ3\b", "", goal)
    for digits in re.findall(r"\d+(?:[.,]\d+)?|\.\d+", rest):
        assert round(float(digits.replace(",", ".")), 9) in accounted(result), (goal, digits, result)


@pytest.mark.parametrize(
    ("goal", "bounds", "fields"),
    [
        ("precision in the top 5 % of at least 0.6", [("precision_at", 0.6)], {"top": 0.05}),
        ("a precision of at least 60% in the top 5%", [("precision_at", 0.6)], {"top": 0.05}),
        ("precision@5% above 0.6", [("precision_at", 0.6)], {"top": 0.05}),
        ("under 50 ms", [], {"latency_ms": 50.0}),
        ("AUC>0.9, answers within 0.2 seconds", [("roc_auc", 0.9)], {"latency_ms": 200.0}),
        ("MAE under 3 days", [("mae", 3.0)], {"unit": "days"}),
        ("RMSE below $500", [("rmse", 500.0)], {"unit": "$"}),
        ("20 alerts per day", [], {"alert_budget": 20.0}),
        ("90 % prediction intervals", [], {"coverage": 0.9}),
        ("NDCG above 0.4 in the top 5", [("ndcg@5", 0.4)], {"at": 5}),
        ("a false negative costs 50", [], {"cost_false_negative": 50.0}),
        ("recall at 80 % precision", [("precision", 0.8)], {}),
        ("recall over 0.9, positive class 'left'", [("recall", 0.9)], {"positive": "left"}),
        ("recall over 0.9, positive: 'left'", [("recall", 0.9)], {"positive": "left"}),
        ("AUC 0.8 in under 50 ms", [("roc_auc", 0.8)], {"latency_ms": 50.0}),
        ("one AUC of 0.8 for each data point", [("roc_auc", 0.8)], {}),
        ("precision in the top tenth of 0.6", [("precision_at", 0.6)], {"top": 0.1}),
        ("groups differ by at most 0.1", [], {"fairness_limit": 0.1}),
        ("predict `size 7` with an accuracy of 0.9", [("accuracy", 0.9)], {}),
    ],
)
def test_understood(goal: str, bounds: list[tuple[str, float]], fields: dict[str, object]) -> None:
    assert read_goal(goal) == StatedGoal(tuple(MetricBound(*bound) for bound in bounds), fields)


@pytest.mark.parametrize(
    ("goal", "quoted"),
    [
        ("reduce cost by 8 %", "reduce cost by 8 %"),
        ("improve accuracy by 5 %", "improve accuracy by 5 %"),
        ("an MAE 10 % lower than today", "10 %"),
        ("keep the AUC between 0.8 and 0.9", "0.8"),
        ("AUC below 0.9", "AUC below 0.9"),
        ("find the 100 best customers", "100"),
        ("who leaves within 30 days", "30 days"),
        ("recall of eighty percent", "eighty percent"),
        ("MAE under 3 %", "MAE under 3 %"),
        ("precision and recall of at least 0.8", "precision and recall"),
        ("in the top 100 customers", "top 100"),
        ("forecast two weeks ahead", "two weeks"),
        ("accuracy over ninety", "ninety"),
        ("accuracy of at least ¾", "¾"),
        ("false positive rate under 1 ‰", "1 ‰"),
        ("RMSE below 1_500", "1_500"),
        ("RMSE below 12.500", "12.500"),
        ("RMSE below 15 k", "15 k"),
        ("AUC 0.05 below the champion", "AUC 0.05 below"),
        ("accuracy + 3 %", "accuracy + 3 %"),
        ("0.8 AUC at most", "0.8 AUC at most"),
        ("AUC accuracy 0.9", "AUC accuracy"),
        ("AUC 0.9 accuracy 0.8 recall", "AUC 0.9 accuracy"),
        ("AUC 0.8 or accuracy 0.9", "AUC 0.8 or accuracy"),
        ("AUC over 0.8 and AUC over 0.9", "AUC over 0.8"),
        ("accuracy in the top 5 % of at least 0.6", "at least 0.6"),
        ("macro recall over 0.8", "macro recall"),
        ("lower bound of AUC over 0.8", "lower bound of AUC"),
        ("accuracy over 0.9 %", "accuracy over 0.9 %"),
        ("coverage of at most 90 %", "at most 90 %"),
        ("a false positive costs 5 %", "costs 5 %"),
    ],
)
def test_rejected(goal: str, quoted: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(quoted)) as error:
        read_goal(goal)
    assert "problem.latency_ms" in str(error.value)


def test_contract_and_gate_contain_every_number() -> None:
    goal = "precision in the top 10 % of at least 0.6, recall over 20 %, answers in under 50 ms"
    problem = state("y", goal=goal)
    contract = complete(problem, pd.Series(["no"] * 30 + ["yes"] * 9, name="y"))
    assert (contract.metric, contract.bound, contract.limits) == ("precision_at@0.1", 0.6, {"recall": 0.2})
    assert {contract.sources[name] for name in ("metric", "bound", "top", "latency_ms", "limits")} == {
        "inferred: named in the goal"
    }
    scores = {"precision_at@0.1": Estimate(value=0.7), "recall": Estimate(value=0.1)}
    deciding = DecidingMetric(name="precision_at@0.1", direction="maximize", value=0.7, low=0.6, high=0.8)
    dummy = Reference(scores={}, difference=Estimate(value=0.5, low=0.4, high=0.6))
    gate = make_gate(
        contract,
        Metrics(rows=9, resamples=9, level=0.95, deciding=deciding, scores=scores, references={"dummy": dummy}),
    )
    assert [(line.required, line.passed) for line in gate.lines[:2]] == [
        ("at least 0.6", True),
        ("at least 0.2", False),
    ]
    again = state("y", metric="precision_at", goal=goal, requirements={"top": 0.1})  # as a retraining states it
    assert (again.bound, again.top, again.limits) == (0.6, 0.1, {"recall": 0.2})


def test_parameters_that_contradict_the_goal() -> None:
    with pytest.raises(ParameterError, match=r"problem.bound is 0.9"):
        state("y", metric="accuracy", bound=0.9, goal="accuracy of at least 0.8")
    with pytest.raises(ParameterError, match="the horizon of a forecast"):
        state("y", task="binary", goal="leaves in the next 30 days")
    with pytest.raises(ValueError, match="does not support the task multiclass"):
        complete(state("y", goal="recall over 20 %"), pd.Series([*"abc"] * 9, name="y"))
