"""Fairness reductions: deterministic, bounded in fits, and clear about groups and families that do not suit them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlnb.codec import decode, encode, replace
from mlnb.errors import DataError, ParameterError
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.problems import REDUCTIONS, ProblemContract
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.tasks.task_traits import Task
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.training_data.protected_rows import ProtectedRows
from mlnb.methods.tuning import fairness_reductions
from mlnb.methods.tuning.fairness_reductions import reduce_differences
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.model_selection import TuningResult

N = 300
CONTRACT = ProblemContract(
    task=Task.BINARY, classes=("no", "yes"), metric="roc_auc", protected=("team",), fairness_mitigation=REDUCTIONS
)
RANDOM = np.random.default_rng(1)
TEAM = RANDOM.integers(0, 3, N)
X = np.column_stack([RANDOM.normal(size=N) + 0.7 * TEAM, RANDOM.normal(size=N)])
Y = (RANDOM.random(N) < 1 / (1 + np.exp(-1.5 * X[:, 0] + X[:, 1]))).astype(np.int64)
NAMES = [("few",) if row < 4 else (f"team {team}",) for row, team in enumerate(TEAM.tolist())]
PLAIN = Candidate(family="linear", params={"alpha": 1.0}, metric="roc_auc")


@pytest.fixture(autouse=True)
def _few_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness_reductions, "ITERATIONS", 4)
    monkeypatch.setattr(fairness_reductions, "MOST_FITS", 14)


def make_folds(numbers: np.ndarray) -> list[Fold]:
    """Return the folds of numbers; rows below 0 are never validated."""
    pairs = [(np.flatnonzero(numbers != part), np.flatnonzero(numbers == part)) for part in (0, 1)]
    return [Fold(X[a], Y[a], X[b], Y[b], rows=b, learned_rows=a) for a, b in pairs]


def tuned_on(folds: Sequence[Fold], best: Candidate = PLAIN) -> TuningResult:
    """Return what a search has found in folds."""
    held = [predict(fit_winner(best, "binary", 2, "roc_auc", fold.X, fold.y), fold.valid_X) for fold in folds]
    rows = np.concatenate([fold.rows for fold in folds if fold.rows is not None])
    return TuningResult(best, pd.DataFrame(), np.concatenate(held), rows)


def reduce_on(measure: str, folds: Sequence[Fold] | None = None, y: np.ndarray = Y, **changes: Any) -> TuningResult:
    """Return the reduction for a measure."""
    some = make_folds(np.arange(N) % 2) if folds is None else folds
    contract = replace(CONTRACT, fairness_metric=measure, **changes)
    return reduce_differences(tuned_on(some), some, contract, ProtectedRows({}, NAMES, y), N, threads=1)


@pytest.mark.parametrize("measure", ["demographic_parity", "equalized_odds"])
def test_differences_between_three_groups_become_smaller(measure: str) -> None:
    fair = reduce_on(measure)
    assert fair.best.reduction is not None and fair.rows is not None
    reduction = fair.best.reduction
    assert reduction.groups == (("team 0",), ("team 1",), ("team 2",)) and reduction.rows == N - 4
    assert reduction.difference < 0.6 * reduction.difference_before
    assert ("few",) not in {entry.group for one in fair.best.models for entry in one.learned_rows}
    assert sum(one.weight for one in fair.best.models) == pytest.approx(1.0)
    assert decode(Candidate, encode(fair.best)) == fair.best and fair.best.unmitigated.models == PLAIN.models
    assert np.isfinite(fair.predictions).all() and sorted(fair.rows.tolist()) == list(range(N))


def test_threads_repeats_and_a_second_run_do_not_change_the_result() -> None:
    folds = make_folds(np.arange(N) % 2)
    one, repeated = reduce_on("equal_opportunity", folds), [*folds, *make_folds(np.arange(N) // 2 % 2)]
    contract = replace(CONTRACT, fairness_metric="equal_opportunity")
    tuned = replace(tuned_on(repeated), predictions=np.tile(tuned_on(folds).predictions, (2, 1)))
    tuned = replace(tuned, rows=np.tile(tuned_on(folds).rows, 2))
    again = reduce_differences(tuned, repeated, contract, ProtectedRows({}, NAMES, Y), N, threads=2)
    assert again.best == one.best and again.predictions.tobytes() == one.predictions.tobytes()


def test_rows_that_are_never_validated_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fairness_reductions, "MOST_FITS", 3)
    folds = make_folds(np.where(np.arange(N) < 60, -1, np.arange(N) % 2))
    contract = replace(CONTRACT, fairness_metric="demographic_parity")
    tuned = tuned_on(folds[:1])  # a search that ended before the last fold
    fair = reduce_differences(tuned, folds, contract, ProtectedRows({}, NAMES, Y), N)
    assert fair.best.reduction is not None and fair.best.reduction.rows == N - 60
    assert fair.best.reduction.fits <= 2 * (3 + 2 + len(fair.best.models))  # costs, a test of weights, members
    model = fit_winner(fair.best, "binary", 2, "roc_auc", X, Y, protected=NAMES)
    assert np.isfinite(predict(model, X)).all()
    with pytest.raises(ValueError, match="expected the group of each row"):
        fit_winner(fair.best, "binary", 2, "roc_auc", X, Y)


def test_costs_of_errors_move_the_decisions() -> None:
    shares = []
    for costs in (((0.0, 1.0), (4.0, 0.0)), ((0.0, 4.0), (1.0, 0.0))):
        fair = reduce_on("demographic_parity", costs=costs)
        shares.append((fair.predictions[:, 1] >= 0.5).mean())
    assert shares[0] > shares[1] + 0.2  # a false negative costs more, and more rows are predicted positive


def test_groups_of_one_class_and_families_without_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"found 1 groups of team .* team 0: 0 of"):
        reduce_on("demographic_parity", y=np.where(TEAM < 2, 0, Y))

    def ignore_weights(*arguments: Any, weights: Any = None, **options: Any) -> Any:
        return fit_model(*arguments, **options)

    monkeypatch.setattr(fairness_reductions, "fit_model", ignore_weights)
    with pytest.raises(ParameterError, match="families linear, whose models do not depend on sample weights, expected"):
        reduce_on("demographic_parity")
