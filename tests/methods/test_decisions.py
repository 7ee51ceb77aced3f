"""Decisions: equal bits for one row and for many, preserved order, and guarantees on held-out rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_digits
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import cross_val_predict

from mlnb.codec import replace
from mlnb.methods.calibration.conformal_intervals import check_interval
from mlnb.methods.contracts.decisions import Beta, Decision, Isotonic, Sigmoid, Temperature, ValueInterval
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.decisions.decision_rules import bound_values, calibrate, choose_classes, decide
from mlnb.methods.evaluation.fairness import assess_fairness, fairness_lines
from mlnb.methods.evaluation.test_evaluation import evaluate, make_gate
from mlnb.methods.metrics.weighted_metrics import score
from mlnb.methods.problem.problem_contract import complete, state
from mlnb.methods.tasks.responders import respond
from mlnb.methods.tasks.training_strategies import learn_decision

BINARY = ProblemContract(task="binary", classes=["no", "yes"], metric="log_loss", costs=None)
share = st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 1e-300, 5e-324, 1 - 2**-53])
size = st.floats(1e-6, 50)
rising = st.lists(share, min_size=2, max_size=9, unique=True).map(sorted)
maps = st.one_of(
    st.none(),
    st.builds(lambda a, c: Sigmoid(a=a, c=c), size, st.floats(-30, 30)),
    st.builds(lambda a, b, c: Beta(a=a, b=b, c=c), size, size, st.floats(-30, 30)),
    st.builds(lambda x: Isotonic(x=x, y=sorted(x)), rising),
)


@settings(max_examples=150)
@given(st.lists(share, min_size=1, max_size=40), maps, st.none() | share)
def test_one_row_gets_the_response_that_it_gets_in_a_batch(shares, map_, threshold):
    p = np.c_[1 - np.array(shares), shares]
    decision = Decision(calibration=map_, threshold=threshold, costs=None)
    together = respond(p, BINARY, decision)
    assert together == [respond(row[None], BINARY, decision)[0] for row in p]
    final = decide(p, decision, BINARY)
    assert np.isfinite(final).all() and (final >= 0).all() and (final <= 1).all()
    order = np.argsort(p[:, 1], kind="stable")
    assert (np.diff(final[order, 1]) >= 0).all(), "who ranked above stays above"


@settings(max_examples=80)
@given(st.integers(2, 9), st.floats(0.05, 20), st.integers(0, 2**32 - 1), st.booleans())
def test_one_row_of_many_classes_gets_the_response_that_it_gets_in_a_batch(k, temperature, seed, priced):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(k, 0.3), 30)
    contract = ProblemContract(task="multiclass", classes=[str(c) for c in range(k)])
    costs = random.random((k, k)).tolist() if priced else None
    decision = Decision(calibration=Temperature(temperature=temperature), costs=costs)
    assert respond(p, contract, decision) == [respond(row[None], contract, decision)[0] for row in p]
    assert (calibrate(p, decision.calibration).argmax(1) == p.argmax(1)).all()


@settings(max_examples=80)
@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=30), st.lists(st.floats(-1e6, 1e6), min_size=1, unique=True))
def test_one_interval_equals_that_in_a_batch(values, knots):
    band = ValueInterval(low=-1.5, high=0.5, x=sorted(knots), scale=[abs(x) + 1.0 for x in sorted(knots)])
    ends = bound_values(np.array(values), band)
    assert (ends[:, 0] <= ends[:, 1]).all()
    alone = np.concatenate([bound_values(np.array([value]), band) for value in values])
    assert alone.tobytes() == ends.tobytes()


@pytest.fixture(scope="module")
def forest():
    """Held-out and test probabilities of a forest that is underconfident (0.7 instead of 0.9), and the labels."""
    X, digit = load_digits(return_X_y=True)
    y = digit % 2
    some = np.random.default_rng(0).permutation(len(y))
    training, test = some[:1000], some[1000:]
    model = RandomForestClassifier(50, max_depth=3, random_state=0, n_jobs=1)
    held_out = cross_val_predict(model, X[training], y[training], cv=5, method="predict_proba")
    return held_out, y[training], model.fit(X[training], y[training]).predict_proba(X[test]), y[test]


def test_calibration_improves_held_out_rows(forest):
    held_out, y, p, truth = forest
    fitted = learn_decision(BINARY, held_out, y)
    decision = fitted.decision
    assert decision.calibration is not None, fitted.measured
    after = decide(p, decision, BINARY)
    assert score("log_loss", truth, after) < score("log_loss", truth, p)
    assert score("roc_auc", truth, after) == pytest.approx(score("roc_auc", truth, p), abs=1e-3)


def test_a_threshold_from_costs_reduces_costs_on_held_out_rows(forest):
    held_out, y, p, truth = forest
    costs = [[0.0, 1.0], [0.1, 0.0]]
    decision = learn_decision(replace(BINARY, costs=costs), held_out, y).decision
    cost = np.asarray(costs)
    chosen = choose_classes(decide(p, decision, BINARY), decision)
    assert cost[truth, chosen].mean() <= cost[truth, choose_classes(p, Decision())].mean()


def test_intervals_have_their_coverage_on_held_out_rows():
    X, y = load_diabetes(return_X_y=True)
    coverages = []
    for seed in range(5):
        some = np.random.default_rng(seed).permutation(len(y))
        training, test = some[:300], some[300:]
        model = RandomForestRegressor(30, min_samples_leaf=3, random_state=0, n_jobs=1)
        held_out = cross_val_predict(model, X[training], y[training], cv=5)
        contract = ProblemContract(task="regression", classes=None, metric="rmse", coverage=0.8)
        decision = learn_decision(contract, held_out[:, None], y[training]).decision
        values = model.fit(X[training], y[training]).predict(X[test])
        checked = check_interval(y[test], bound_values(values, decision.interval), 0.8)
        assert checked.passed, checked
        coverages.append(checked.coverage.value)
    assert 0.75 < np.mean(coverages) < 0.87, coverages


def test_a_test_set_without_a_class_has_undefined_metrics_and_fails_its_gate():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    contract = ProblemContract(task="binary", metric="roc_auc", direction="maximize", bound=0.5)
    metrics = evaluate(np.zeros(3, dtype=int), {"model": p, "dummy": p}, "binary", "roc_auc", 20)
    assert metrics.deciding.value is None and metrics.scores["accuracy"].value == pytest.approx(2 / 3)
    gate = make_gate(contract, metrics)
    assert not gate.passed and gate.lines[0].found == "undefined on these rows"


def test_groups_of_one_class_are_listed_and_not_compared():
    sex = np.array(["f"] * 60 + ["m"] * 60, dtype=object)
    y = np.r_[np.zeros(60, dtype=int), np.ones(60, dtype=int)]  # no woman is positive, no man negative
    contract = ProblemContract(
        task="binary", protected=("sex",), fairness_metric="equal_opportunity", fairness_limit=0.1
    )
    results = assess_fairness(contract, {"sex": sex}, y, y)
    assert results[0].groups[0].rates["true_positive"] is None and results[0].difference.value is None
    assert not fairness_lines(results)[0].passed


def test_costs_that_always_give_one_class_are_refused_before_fitting():
    import pandas as pd

    target = pd.Series(["no", "yes"] * 30, name="y")
    for costs in ({"cost_false_negative": 0}, {"cost_false_positive": 0}, {"cost_false_positive": -1}):
        with pytest.raises(ValueError, match="every decision is the same"):
            complete(state("y", requirements=costs), target)
    with pytest.raises(ValueError, match="favor an error"):
        complete(state("y", requirements={"costs": {"no": {"no": 3, "yes": 1}, "yes": {"no": 1, "yes": 2}}}), target)


def test_a_dominating_cost_is_reported():
    random = np.random.default_rng(0)
    p = random.uniform(0.2, 0.8, 500)
    costly = replace(BINARY, costs=((0.0, 1.0), (1e6, 0.0)))
    fitted = learn_decision(costly, np.c_[1 - p, p], random.integers(0, 2, 500))
    assert "predicts positive for every held-out row" in fitted.measured["threshold"].reason
