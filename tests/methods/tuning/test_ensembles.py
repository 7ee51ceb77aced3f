"""Ensembles: scores of folds, greedy weights, repeats, shrinkage and the choice between ensemble and single trial."""

from pathlib import Path

import numpy as np
import pytest

from mlnb.methods.tuning.ensembles import (
    OutOfFold,
    PredictionStore,
    choose_ensemble,
    greedy_weights,
    order_out_of_fold,
    within_noise,
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.fixture
def y(random: np.random.Generator) -> np.ndarray:
    return random.normal(size=600)


@pytest.fixture
def noisy(random: np.random.Generator, y: np.ndarray) -> list[np.ndarray]:
    """Three equally good trials with independent errors, and a bad one."""
    return [y + random.normal(0, spread, 600) for spread in (0.5, 0.5, 0.5, 3.0)]


@pytest.fixture
def truth(y: np.ndarray) -> OutOfFold:
    return OutOfFold("rmse", y, np.arange(600) % 5)


def test_scores_of_folds() -> None:
    small = OutOfFold("rmse", np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))
    assert small.score(small.y + 1, [1], rows=1) == -1.0
    one_class = OutOfFold("roc_auc", np.array([1, 1]), np.array([0, 0]))
    assert one_class.score(np.full((2, 2), 0.5), [0]) == -np.inf


def test_out_of_fold_predictions_are_averaged_over_repeats() -> None:
    result = order_out_of_fold(np.array([1.0, 2.0, 4.0]), np.array([2, 0, 0]), 4)
    assert result.shape == (4, 1) and result[[0, 2], 0].tolist() == [3.0, 1.0] and np.isnan(result[[1, 3]]).all()


def test_prediction_store_keeps_studies_apart(tmp_path: Path) -> None:
    PredictionStore(tmp_path / "deep", "s").save(3, np.arange(4.0))
    stored = PredictionStore(tmp_path / "deep", "s")
    assert np.array_equal(stored.load(3), np.arange(4.0)) and stored.load(4) is None
    assert PredictionStore(tmp_path / "deep", "t").load(3) is None and PredictionStore(None, "s").load(0) is None


def test_single_trial_and_budgets(noisy: list[np.ndarray], truth: OutOfFold) -> None:
    assert choose_ensemble(noisy[:1], truth) == (np.array([1.0]), {})
    assert choose_ensemble(noisy, truth, lambda w: np.count_nonzero(w) < 2)[0].max() == 1.0
    assert choose_ensemble(noisy, truth, lambda w: False)[0].tolist() == [1.0, 0.0, 0.0, 0.0]


def test_undefined_scores_give_the_first_trial(y: np.ndarray) -> None:
    assert greedy_weights([y, -y], lambda prediction: -np.inf).tolist() == [1.0, 0.0]
    codes, fold = np.resize([0, 1], 40), np.repeat([0, 1, 2, 3], 10)
    codes[fold == 2] = 0  # one class: its score is undefined
    p = np.stack([1.0 - codes, codes], axis=1)
    assert within_noise([p, 1.0 - p], OutOfFold("roc_auc", codes, fold)).tolist() == [True, False]


def test_one_fold_is_split_in_halves(y: np.ndarray, noisy: list[np.ndarray]) -> None:
    one_fold = OutOfFold("rmse", y, np.zeros(600))
    assert np.count_nonzero(choose_ensemble(noisy, one_fold)[0]) >= 2
    assert within_noise(noisy, one_fold).tolist() == [True] + [False] * 3  # no standard error


def test_repeats_are_kept_apart(random: np.random.Generator, y: np.ndarray, noisy: list[np.ndarray]) -> None:
    twice = [np.concatenate([p, p + random.normal(0, 0.01, 600)]) for p in noisy]
    folds = np.r_[np.arange(600) % 5, 5 + np.arange(600) % 4]
    repeated = OutOfFold("rmse", np.tile(y, 2), folds, repeat=np.repeat([0, 1], 600))
    assert repeated.other_folds(6) == [5, 7, 8] and repeated.other_folds(0) == [1, 2, 3, 4]
    weights = choose_ensemble(twice, repeated)[0]
    assert (
        np.allclose(weights[:3], 1 / 3, atol=0.1) and weights.tolist() == choose_ensemble(twice, repeated)[0].tolist()
    )


def test_many_trials_of_one_family_have_the_weight_of_one(y: np.ndarray, truth: OutOfFold) -> None:
    error = np.random.default_rng(7).normal(0, 0.3, 600)
    alike, other = [y + error] * 6, y - error  # equal scores
    kinds = ["lightgbm"] * 6 + ["linear"]
    weights = choose_ensemble([*alike, other], truth, rows=1, kinds=kinds)[0]  # so few rows that weights are equal
    assert (
        np.isclose(weights[-1], 0.5, atol=0.01)
        and np.allclose(weights[:3], 1 / 6, atol=0.01)
        and not weights[3:6].any()
    )
    assert choose_ensemble([*alike, other], truth, rows=1)[0][-1] < 0.2


def test_weights_are_shrunk_on_few_rows(noisy: list[np.ndarray], truth: OutOfFold) -> None:
    few, many = (choose_ensemble(noisy[:2], truth, rows=rows)[0] for rows in (50, 50_000))
    assert abs(few[0] - 0.5) <= abs(many[0] - 0.5) + 1e-12  # of rounding


def test_rankings_count_queries(y: np.ndarray, noisy: list[np.ndarray]) -> None:
    ranking = OutOfFold("ndcg@5", np.round(np.clip(y + 1, 0, 3)), np.arange(600) // 150, np.arange(600) // 15)
    weights = [choose_ensemble(noisy[:2], ranking, rows=rows)[0].tolist() for rows in (600, 60_000)]
    assert weights[0] == weights[1]
