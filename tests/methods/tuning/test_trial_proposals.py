"""Trial proposals: earlier batches only, promotion on large tables, and the warm start."""

import json

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.codec import replace
from mlnb.methods.contracts.candidates import Candidate, EnsembleMember, Params, TrialResult
from mlnb.methods.models.search_spaces import SPACES, default_params, first_trials
from mlnb.methods.tuning.studies import BATCH, distributions
from mlnb.methods.tuning.trial_proposals import (
    SearchSettings,
    TrialProposal,
    describe_warm_start,
    draw_params,
    propose,
    read_warm_start,
    vary_params,
    warm_start_trials,
)

FAMILIES = ("lightgbm", "linear", "extra_trees", "baseline")


def result(index: int, family: str, params: Params, score: float, all_rows: bool = True) -> TrialResult:
    return TrialResult(
        index=index, number=index, state="complete", family=family, params=params, all_rows=all_rows, score=score,
        fold_scores=(score,),
    )  # fmt: skip


@pytest.fixture
def trials() -> pd.DataFrame:
    params = json.dumps(default_params("linear"))
    return pd.DataFrame({
        "number": [0, 1, 2, 3], "state": ["complete", "complete", "complete", "pruned"], "folds": [3, 3, 3, 1],
        "family": ["linear", "lightgbm", "linear", "linear"], "score": [0.8, 0.9, 0.85, 0.99], "class_weight": "none",
        "params": [params, "{}", params, "{}"],
    })  # fmt: skip


def test_results_of_the_same_batch_are_ignored() -> None:
    search = SearchSettings(FAMILIES, rows=500, columns=10, seed=3)
    first = first_trials(search.families, 500, 10)
    results = {at: result(at, family, params, 0.9 - 0.1 * at) for at, (family, params) in enumerate(first)}
    within = len(first) - len(first) % BATCH + BATCH
    more = results | {within: result(within, "linear", {}, 9.9)}
    assert propose(within + 1, results, search) == propose(within + 1, more, search)


def test_random_search_and_class_weights() -> None:
    first = first_trials(FAMILIES, 500, 10)
    search = SearchSettings(FAMILIES, 500, 10, sampler="random", class_weight="tuned", seed=4)
    indices = range(len(first), len(first) + 40)
    assert {propose(index, {}, search).class_weight for index in indices} == {"none", "balanced"}
    assert draw_params("linear", [], search, 1) != draw_params("linear", [], search, 2)


def test_tpe_avoids_the_neighborhood_of_pruned_trials() -> None:
    search = SearchSettings(("linear",), 500, 10, sign=-1.0)
    complete = [result(at, "linear", {"alpha": 0.5 + at / 4, "quantile_transform": 0}, 1.0 + at) for at in range(6)]
    worse = [result(6 + at, "linear", {"alpha": 900.0 + 50 * at, "quantile_transform": 0}, 99.0) for at in range(12)]
    pruned = [replace(trial, state="pruned") for trial in worse]

    def share(results: list[TrialResult]) -> float:
        drawn = [draw_params("linear", results, search, seed)["alpha"] for seed in range(40)]
        return sum(200 < float(alpha) < 5000 for alpha in drawn) / len(drawn)

    assert share([*complete, *pruned]) < 0.5 * share(complete)
    for score in (float("nan"), 0.1):  # a score of the folds before the one that failed
        failed = [replace(trial, state="fail", score=score) for trial in worse]
        assert draw_params("linear", [*complete, *failed], search, 1) == draw_params("linear", complete, search, 1)


@given(st.integers(0, 2**32), st.sampled_from(sorted(SPACES)))
def test_variations_are_within_the_search_space(seed: int, family: str) -> None:
    spaces = distributions(family, {"kind": ("a", "b", "c")})
    params = {**default_params(family), "kind": "b"}
    varied = vary_params(params, spaces, seed)
    assert varied == vary_params(params, spaces, seed) and list(varied) == list(params)
    for name, space in spaces.items():
        assert space._contains(space.to_internal_repr(varied[name])), (name, varied[name])
        assert type(varied[name]) is type(params[name])


def test_variations_of_any_declared_range() -> None:
    whole, real = optuna.distributions.IntDistribution, optuna.distributions.FloatDistribution
    fixed = vary_params({"a": 2.0, "b": 3}, {"a": real(2.0, 2.0), "b": whole(3, 3)}, 0)
    assert fixed == {"a": 2.0, "b": 3} and vary_params({}, {}, 0) == {}
    shares = {vary_params({"a": 0.4}, {"a": real(0.0, 1.0)}, seed)["a"] for seed in range(20)}
    assert len(shares) == 20 and not shares & {0.0, 1.0, 0.4}  # no choice between two numbers
    few = {"a": whole(2, 12), "b": whole(0, 1)}
    assert all(vary_params({"a": 5, "b": 0}, few, seed) != {"a": 5, "b": 0} for seed in range(100))


def test_half_of_the_draws_are_near_the_best_trial() -> None:
    search = SearchSettings(("linear",), 500, 10)
    trials = [result(at, "linear", {"alpha": 10.0**at, "quantile_transform": 0}, 1.0 - at) for at in range(3)]
    drawn = [draw_params("linear", trials, search, seed) for seed in range(200)]
    near = np.abs(np.log10([float(params["alpha"]) for params in drawn])) < 0.75
    assert 0.3 < near.mean() < 0.7 and len({json.dumps(params) for params in drawn}) == 200
    changed = [params["quantile_transform"] for params, close in zip(drawn, near, strict=True) if close]
    assert 0 < sum(map(float, changed)) < 0.4 * len(changed)


def test_each_configuration_is_promoted_once() -> None:
    large = SearchSettings(("lightgbm", "linear", "extra_trees"), rows=1_000_000, columns=10, sign=-1.0)
    first, results, proposals = first_trials(large.families, large.rows, large.columns), {}, []
    for index in range(24):
        proposals.append(propose(index, results, large))
        score = 1.0 + 0.01 * index - 0.5 * (index == 3)
        results[index] = result(index, proposals[-1].family, proposals[-1].params, score, proposals[-1].all_rows)
    tried = [(p.family, p.params) for p in proposals]
    assert tried[5] == first[4] and tried[7] == first[5] and tried[9] == first[6]
    assert tried[6] == first[0] and tried.count(first[3]) == 2
    assert propose(4, {at: results[at] for at in range(4)}, large) == proposals[4]
    assert not SearchSettings(large.families, large.rows, 10, trials=11).large  # too few trials for a sample


def test_warm_start_uses_at_most_half_of_the_trials(trials: pd.DataFrame) -> None:
    champion = Candidate(family="linear", members=(EnsembleMember(family="linear", number=2),))
    stated = warm_start_trials(champion, trials, "churn:3")
    assert len(warm_start_trials(Candidate(family="linear"), trials, "churn:3", 1)["trials"]) == 1
    assert read_warm_start({}, ["linear"], 24) == () and len(read_warm_start(stated, ["linear"], 2)) == 1
    warm = read_warm_start(stated, ["linear", "extra_trees"], 24)
    started = SearchSettings(("linear", "extra_trees"), rows=500, columns=10, warm=warm)
    names = {(proposal.family, json.dumps(proposal.params)) for proposal in started.first}
    assert len(names) <= len(started.first)


def test_the_portfolio_does_not_repeat_the_warm_start() -> None:
    first = first_trials(["linear"], 500, 10)
    again = SearchSettings(("linear",), 500, 10, warm=(TrialProposal("linear", first[0][1], origin="x"),))
    assert len(again.first) == len(first)


def test_warm_start_lines(trials: pd.DataFrame) -> None:
    lines = describe_warm_start(trials.assign(origin=["churn:3, trial 2", "", "", "churn:3, trial 0"]), "roc_auc")
    assert lines[0] == "trial 0 repeats churn:3, trial 2 (linear): roc_auc 0.8" and lines[1].endswith("pruned")


@pytest.mark.parametrize(
    "wrong", [[{"family": "linear"}], ["linear"], [{"family": "linear", "params": {}, "class_weight": "heavy"}]]
)
def test_wrong_warm_starts(wrong: list[object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        read_warm_start({"trials": wrong}, ["linear"], 24)
