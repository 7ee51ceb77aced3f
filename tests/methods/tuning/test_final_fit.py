"""Final fit: deterministic, on fewer rows where there is no time for all, with class weights."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from mlnb.methods.contracts.candidates import Candidate, EnsembleMember
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.tuning.final_fit import fit_winner, row_weights

LINEAR = default_params("linear")
X, Y = load_diabetes(return_X_y=True)
ODD = np.arange(len(Y)) % 2 == 1


def test_threads_do_not_change_the_model() -> None:
    boosted = EnsembleMember(family="lightgbm", params={"rounds": 20, "bags": 2}, weight=0.4)
    both = Candidate(family="ensemble", members=(boosted, EnsembleMember(family="linear", params=LINEAR, weight=0.6)))
    models = [fit_winner(both, "regression", 0, "rmse", X[ODD], Y[ODD], threads=threads) for threads in (1, 2)]
    assert predict(models[0], X).tobytes() == predict(models[1], X).tobytes()


def test_fewer_rows_are_evenly_spaced() -> None:
    half = fit_winner(Candidate(family="linear", params=LINEAR, rows=len(Y) // 2), "regression", 0, "rmse", X, Y)
    same = fit_winner(Candidate(family="linear", params=LINEAR), "regression", 0, "rmse", X[ODD], Y[ODD])
    assert predict(half, X).tobytes() == predict(same, X).tobytes()


def test_no_weights_where_all_are_one() -> None:
    assert row_weights(Y, 0, "balanced") is None and row_weights(np.array([0, 1]), 2, "none") is None


def test_no_rows() -> None:
    with pytest.raises(ValueError, match=r"\(0, 10\)"):
        fit_winner(Candidate(family="linear", params=LINEAR), "regression", 0, "rmse", X[:0], Y[:0])
