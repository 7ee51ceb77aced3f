"""Trials: time budget, samples, pruning and failures."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from mlnb.methods.contracts.candidates import TrialResult
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning import trials
from mlnb.methods.tuning.trial_proposals import TrialProposal
from mlnb.methods.tuning.trials import (
    BudgetExceeded,
    Objective,
    TimeBudget,
    collect_out_of_fold,
    fit_effort,
    folds_used,
    is_outclassed,
    is_prunable,
    run_trial,
    running_mean,
    sample_fold,
)

OBJECTIVE = Objective("binary", 2, "roc_auc")
QUICK = TrialProposal("lightgbm", {"learning_rate": 0.2, "num_leaves": 8})


@pytest.fixture(scope="module")
def folds() -> list[Fold]:
    X, y = load_breast_cancer(return_X_y=True)
    at = np.arange(len(y)) % 3
    return [Fold(X[at != f], y[at != f], X[at == f], y[at == f]) for f in range(3)]


@pytest.fixture
def peers() -> list[TrialResult]:
    """Three good linear trials."""
    return [
        TrialResult(
            index=n, number=n, state="complete", family="linear", params={}, score=0.9999, fold_scores=(0.9999,) * 3
        )
        for n in range(3)
    ]


def ticking(seconds: float) -> TimeBudget:
    """A budget of a search with a result, whose clock advances 10 ms at each look."""
    ticks = itertools.count()
    budget = TimeBudget(seconds, lambda: 0.01 * next(ticks))
    budget.has_result = True
    return budget


def test_budget_is_checked_by_family_and_size() -> None:
    now = [0.0]
    budget = TimeBudget(10.0, lambda: now[0])
    budget.record("linear", 100, 5.0)
    budget.has_result, now[0] = True, 6.0
    budget.check("lightgbm", 60)  # as slow as the slowest family
    for family in ("linear", "lightgbm"):
        with pytest.raises(BudgetExceeded):
            budget.check(family, 100)
    budget.check("linear", 10, folds=5)
    for rest in ({"folds": 9}, {"folds": 5, "seconds": 0.9}):  # judged by the family, and by the trial's own folds
        with pytest.raises(BudgetExceeded):
            budget.check("linear", 10, **rest)
    now[0] = 11.0
    with pytest.raises(BudgetExceeded):
        budget.stop()
    budget.has_result = False
    assert budget.stop()  # the first model is kept


def test_a_trial_that_would_not_end_in_time_is_not_started(folds: list[Fold]) -> None:
    budget = ticking(60.0)
    assert run_trial(QUICK, folds, OBJECTIVE, budget=budget).state == "complete"
    slow = replace(QUICK, params={**QUICK.params, "learning_rate": QUICK.params["learning_rate"] / 100})
    before = budget.left()
    with pytest.raises(BudgetExceeded):
        run_trial(slow, folds, OBJECTIVE, budget=budget)
    assert before - budget.left() < 0.1  # before its first fit
    assert run_trial(QUICK, folds, OBJECTIVE, budget=budget).state == "complete"


def test_a_slow_trial_is_pruned_when_another_is_better(folds: list[Fold], peers: list[TrialResult]) -> None:
    own = TrialResult(
        index=3, number=3, state="complete", family="lightgbm", params={}, score=0.9, fold_scores=(0.9,) * 3
    )
    whole = run_trial(QUICK, folds, OBJECTIVE, budget=ticking(1000.0)).scores.seconds
    cases = [([own, *peers], "pruned"), (peers, "complete"), ([own], "complete")]  # the first of its family is not
    for finished, state in cases:
        assert run_trial(QUICK, folds, OBJECTIVE, budget=ticking(2 * whole), finished=finished).state == state
        assert run_trial(QUICK, folds, OBJECTIVE, budget=ticking(9 * whole), finished=finished).state == "complete"
    assert is_outclassed([0.95, None], "lightgbm", [own, *peers], 1.0)
    assert not is_outclassed([0.95], "lightgbm", peers, 1.0) and not is_outclassed([0.95], "lightgbm", [own], 1.0)


def test_effort_and_running_mean(folds: list[Fold]) -> None:
    linear = TrialProposal("linear", default_params("linear"))
    usual = replace(QUICK, params=default_params("lightgbm"))
    assert fit_effort(linear, folds[0]) == folds[0].X.size == fit_effort(usual, folds[0])  # families are compared by it
    half = replace(QUICK, params={"learning_rate": usual.params["learning_rate"] / 2})
    assert fit_effort(half, folds[0]) == 2 * folds[0].X.size
    assert running_mean([1.0, None, 3.0, 9.0], 3, -1.0) == -2.0 and np.isnan(running_mean([None], 1, 1.0))


def test_samples_keep_arrays_together() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(300, 4)), np.arange(300) % 2
    query = np.repeat(np.arange(100), 3)
    fold = Fold(X[:240], y[:240], X[240:], y[240:], query[:240], query[240:], np.ones(240), rows=np.arange(240, 300))
    small = sample_fold(fold, seed=1, rows=60)
    assert small.weights is not None and len(small.weights) == len(small.y)
    assert np.array_equal(X[small.rows], small.valid_X) and np.array_equal(small.X, sample_fold(fold, 1, 60).X)
    plain = Fold(X[:240], y[:240], X[240:], y[240:])
    assert len(sample_fold(plain, rows=50).y) == 50 and sample_fold(plain, rows=50).rows is None
    assert folds_used([fold] * 5) == [fold] * 5 and collect_out_of_fold([fold], "ndcg@5").repeat is None


def test_trials_are_deterministic(folds: list[Fold]) -> None:
    first, second = (run_trial(QUICK, folds, OBJECTIVE).predictions for _ in range(2))
    assert first is not None and second is not None and first.tobytes() == second.tobytes()


def test_pruning_compares_within_a_family(folds: list[Fold], peers: list[TrialResult]) -> None:
    linear = TrialProposal("linear", default_params("linear"))
    assert run_trial(linear, folds, OBJECTIVE, peers).state == "pruned"
    assert run_trial(linear, folds, OBJECTIVE, peers[:2]).state == "complete"
    assert not is_prunable([1.0], "linear", peers, 1.0) and not is_prunable([0.5], "lightgbm", peers, 1.0)


def test_failures_are_outcomes(folds: list[Fold]) -> None:
    unknown = run_trial(TrialProposal("no family", {}), folds, OBJECTIVE)
    assert unknown.state == "fail" and "no family" in unknown.scores.error
    one_class = [Fold(np.ones((4, 1)), np.array([0, 1, 0, 1]), np.ones((2, 1)), np.array([1, 1]))]
    linear = TrialProposal("linear", default_params("linear"))
    assert "undefined in every fold" in run_trial(linear, one_class, OBJECTIVE).scores.error
    broken = replace(folds[1], y=np.full(len(folds[1].y), np.nan))
    scores = run_trial(linear, [folds[0], broken], OBJECTIVE).scores
    assert scores.error and scores.score is None and len(scores.fold_scores) == 1


def test_the_first_trial_is_cut_short(folds: list[Fold]) -> None:
    late = TimeBudget(1.0, lambda: 5.0)
    late.started = 0.0
    outcome = run_trial(QUICK, folds, OBJECTIVE, budget=late)
    assert outcome.state == "complete" and outcome.scores.rounds == 1 and len(outcome.scores.fold_scores) == 1
    late.has_result = True
    with pytest.raises(BudgetExceeded):
        run_trial(QUICK, folds, OBJECTIVE, budget=late)


def test_a_trial_whose_score_is_infinite_fails(folds: list[Fold], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "predict", lambda model, X: np.full(len(X), 1e300))
    with np.errstate(over="ignore"):
        outcome = run_trial(TrialProposal("linear", {"alpha": 1.0}), folds, Objective("regression", 0, "rmse"))
    assert outcome.state == "fail" and outcome.scores.score is None
    assert "predictions up to 1e+300, whose rmse is infinite" in outcome.scores.error
