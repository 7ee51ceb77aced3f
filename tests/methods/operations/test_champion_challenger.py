"""The paired bootstrap of both models, the comparison of groups, and the decision of a challenge."""

import numpy as np
import pandas as pd
import pytest

from mlnb.codec import replace
from mlnb.methods.contracts.gates import Gate, GateLine
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.operations.challenge_pairs import FreshResponses, PairedPredictions, pair_rows
from mlnb.methods.operations.champion_challenger import (
    compare_fairness,
    decide_promotion,
    describe_result,
    measure_gain,
    omit_times,
)

BINARY = ProblemContract(task="binary", target="y", classes=("no", "yes"), metric="roc_auc")
RULES = replace(BINARY, protected=("sex", "age", "postcode"), fairness_metric="demographic_parity")
PASSED = Gate.of([GateLine(check="roc_auc", found="0.9", required="0.8", passed=True)])
MISSED = Gate.of([GateLine(check="roc_auc", found="0.7", required="0.8", passed=False)])


@pytest.fixture(scope="module")
def table():
    return pd.DataFrame({"y": np.array(["no", "yes"])[np.random.default_rng(0).integers(0, 2, 400)]})


@pytest.fixture(scope="module")
def models(table):
    """Responses of a weak and of a strong classifier."""
    random, truth = np.random.default_rng(1), (table["y"] == "yes").to_numpy()

    def respond(spread):
        p = np.clip(truth + random.normal(0, spread, 400), 0.01, 0.99).tolist()
        return [{"prediction": "yes" if v >= 0.5 else "no", "probabilities": {"no": 1 - v, "yes": v}} for v in p]

    return respond(0.9), respond(0.4)


@pytest.fixture(scope="module")
def pair(table, models):
    return pair_rows(BINARY, table, *models)


@pytest.fixture(scope="module")
def better(pair):
    return measure_gain(pair, "roc_auc")


@pytest.fixture(scope="module")
def people():
    """Rows of two groups, and responses that are fair and that are biased."""
    group, outcome = np.random.default_rng(1).integers(0, 2, (2, 1000))
    columns = {"sex": np.array(["f", "m"])[group], "age": group * 1.0, "y": np.array(["no", "yes"])[outcome]}
    fair = [{"prediction": "yes" if t else "no"} for t in outcome]
    biased = [{"prediction": "yes" if t and g else "no"} for t, g in zip(outcome, group, strict=True)]
    return pd.DataFrame(columns), fair, biased


def responses(champion, challenger):
    """Return the responses of both models to one request."""
    return FreshResponses([champion], [challenger], 0.001, 0.002, {})


def test_a_stronger_challenger_gains(pair, better):
    assert better.low > 0 and better.challenger > better.champion and 0 < pair.changed < 1


def test_a_weaker_challenger_loses_by_a_metric_that_is_minimized(table, models):
    weak, strong = models
    pair = pair_rows(replace(BINARY, metric="log_loss"), table, strong, weak)
    assert measure_gain(pair, "log_loss").high < 0


def test_equal_models_gain_nothing(table, models):
    assert measure_gain(pair_rows(BINARY, table, models[0], models[0]), "roc_auc").high == 0


def test_one_class_among_fresh_rows_is_refused(pair):
    one = PairedPredictions(np.zeros(9, dtype=int), pair.champion[:9], pair.challenger[:9], 0.0)
    with pytest.raises(ValueError, match="wait for more labels"):
        measure_gain(one, "roc_auc")


def test_few_bootstrap_units_are_refused():
    few = PairedPredictions(np.arange(12.0), np.ones(12), np.ones(12), 0.0, units=np.arange(12) // 2)
    with pytest.raises(ValueError, match="found 6 bootstrap units"):
        measure_gain(few, "mase")


@pytest.mark.parametrize(
    ("changed", "slowdown", "gate", "decision"),
    [
        (0.1, 1.0, PASSED, "promote"),
        (0.5, 1.0, PASSED, "approve"),
        (0.1, 9.0, PASSED, "keep"),
        (0.1, 1.0, MISSED, "keep"),
    ],
)
def test_a_gain_is_promoted_unless_a_check_fails(pair, better, changed, slowdown, gate, decision):
    pair = replace(pair, changed=changed)
    assert decide_promotion(pair, better, "roc_auc", slowdown, gate).decision == decision


def test_no_gain_keeps_the_champion(table, models):
    pair = pair_rows(BINARY, table, models[0], models[0])
    result = decide_promotion(pair, measure_gain(pair, "roc_auc"), "roc_auc", 1.0, PASSED)
    assert pair.changed == 0 and result.decision == "keep"


def test_measured_times_are_omitted_from_the_result(pair, better):
    result = decide_promotion(pair, better, "roc_auc", 1.5, PASSED)
    assert result.lines[2].found == "1.50 times the champion's"
    assert omit_times(result).lines[2].found == "see the logged times"


def test_the_result_is_described_with_both_metrics(pair, better):
    result = decide_promotion(replace(pair, changed=0.1), better, "roc_auc", 1.0, PASSED)
    result = replace(result, champion=0.5, challenger=0.75, metric="mase", rows=1200)
    assert describe_result(result) == "mase of 1,200 fresh rows: champion 0.5, challenger 0.75\nPROMOTE"


def test_a_larger_difference_between_groups_fails(people, pair, better):
    table, fair, biased = people
    lines = compare_fairness(RULES, table, responses(fair, biased))
    assert [line.passed for line in lines] == [False, False, True] and "do not contain" in lines[2].found
    result = decide_promotion(replace(pair, changed=0.1), better, "roc_auc", 1.0, PASSED, fairness=lines)
    assert result.decision == "keep"


def test_a_smaller_difference_between_groups_passes(people):
    table, fair, biased = people
    assert all(line.passed for line in compare_fairness(RULES, table, responses(biased, fair)))


def test_without_protected_columns_groups_are_not_compared(people):
    table, fair, biased = people
    assert compare_fairness(BINARY, table, responses(fair, biased)) == []


def test_groups_that_are_too_small_are_left_to_the_gate(people):
    table, fair, biased = people
    line = compare_fairness(RULES, table.head(3), responses(fair[:3], biased[:3]))[0]
    assert line.passed and "fewer than two groups" in line.found
