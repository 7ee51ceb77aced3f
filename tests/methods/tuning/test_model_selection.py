"""Model selection: latency and time budgets, trials without members, and the table of trials."""

from collections.abc import Mapping

import numpy as np
import pytest

from mlnb.codec import decode, encode, replace
from mlnb.methods.contracts.candidates import Candidate, EnsembleMember, TrialResult
from mlnb.methods.tuning.ensembles import OutOfFold
from mlnb.methods.tuning.model_selection import (
    DEFAULT_LATENCY_MS,
    SelectionPlan,
    TuningResult,
    bag_size,
    choose_winner,
    prediction_ms,
    refit_seconds,
    trials_table,
)

PLAN = SelectionPlan("rmse", 0, 300, 5)
Y = np.random.default_rng(0).normal(size=300)
TRUTH = OutOfFold("rmse", Y, np.arange(300) // 100)
NOISY = [Y + np.random.default_rng(n + 1).normal(0, spread, 300) for n, spread in enumerate((0.5, 0.5, 0.6, 2.0))]


@pytest.fixture
def results() -> dict[int, TrialResult]:
    """Four complete trials with the predictions in NOISY."""
    out = {}
    for index, family in enumerate(("lightgbm", "linear", "extra_trees", "linear")):
        scores = tuple(-TRUTH.score(NOISY[index], [fold]) for fold in range(3))
        out[index] = TrialResult(
            index=index, number=index, state="complete", family=family, params={}, score=float(np.mean(scores)),
            fold_scores=scores, rounds=40 if family == "lightgbm" else None, seconds=1.0,
        )  # fmt: skip
    return out


def select(results: Mapping[int, TrialResult], plan: SelectionPlan = PLAN, left: float = np.inf) -> TuningResult:
    return choose_winner(results, TRUTH, lambda trial: NOISY[trial.index], plan, left)


def test_costs_of_members() -> None:
    assert bag_size("lightgbm", 10**6) == 1 and bag_size("mlp", 500, 8) == 1
    for family, params in [("linear", {}), ("mlp", {"width": 64}), ("extra_trees", {})]:
        assert 0 < prediction_ms(family, params, 1000, 20, 3) < DEFAULT_LATENCY_MS, family


def test_table_and_artifact(results: dict[int, TrialResult]) -> None:
    tuned = select(results)
    assert trials_table(results).equals(tuned.trials) and "seconds" not in tuned.trials
    assert decode(Candidate, encode(tuned.best)) == tuned.best and tuned.best.params == {}
    assert tuned.trials["number"].tolist() == [0, 1, 2, 3] and tuned.best.trials == 4


def test_without_ensemble(results: dict[int, TrialResult]) -> None:
    best = select(results, replace(PLAN, ensemble=False)).best
    assert best.family in ("lightgbm", "linear") and len(best.members) == 1


def test_without_bagging(results: dict[int, TrialResult]) -> None:
    assert select({0: results[0]}, replace(PLAN, bagging=False)).best.params == {"rounds": 40}


def test_latency_budget_limits_the_members(results: dict[int, TrialResult]) -> None:
    assert len(select(results, replace(PLAN, latency_ms=0.08)).best.members) == 1


def test_time_budget_limits_bags_then_rows(results: dict[int, TrialResult]) -> None:
    single = {0: results[0]}
    assert select(single).best.params == {"rounds": 40, "bags": 8}
    best = select(single, left=1.0).best
    assert best.params["bags"] == 2 and best.rows is None
    late = [select(single, replace(PLAN, fold_ratio=10.0), left=seconds).best for seconds in (1.0, 0.01)]
    assert [best.params.get("bags", 1) for best in late] == [1, 1] and [best.rows for best in late] == [90, 30]


def test_bags_of_the_heaviest_member_fill_the_budget(results: dict[int, TrialResult]) -> None:
    boosted = {0: results[0], 1: replace(results[1], family="lightgbm", rounds=40)}
    widest = [int(member.params["bags"]) for member in select(boosted).best.members]
    assert widest == [4, 4]
    for left in (1.3, 1.7, 2.1):  # a model takes 0.42 s
        best = select(boosted, left=left).best
        bags = [int(member.params.get("bags", 1)) for member in best.members]
        assert sum(bags) == int(left / (1.25 / 3)) and not best.rows
        heavy = max(range(2), key=lambda at: best.members[at].weight)
        assert bags[heavy] == max(bags)


def test_refit_takes_longer_with_bags(results: dict[int, TrialResult]) -> None:
    member = EnsembleMember(family="lightgbm", params={"bags": 4})
    assert refit_seconds(results[0], member, 5) == 1.25 / 5 * 4


def test_no_complete_trial() -> None:
    with pytest.raises(ValueError, match="expected at least one"):
        select({})
