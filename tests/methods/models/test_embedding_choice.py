"""A model that was fitted without embeddings ignores their columns, and the search tries both."""

import numpy as np
import pytest
from small_fits import QUICK

from mlnb.methods.models.embedding_choice import CHOOSING, EMBEDDED, EMBEDDINGS, WITH, WITHOUT
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import SEARCHED, default_params, first_trials
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.trial_proposals import SearchSettings, propose, read_warm_start

COLUMNS = [0, 1, 0, 1]


def make_rows(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(size=(count, 4))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int)


@pytest.mark.parametrize(("family", "task"), [*((family, "binary") for family in CHOOSING), ("linear", "regression")])
def test_a_model_without_embeddings_ignores_their_columns(family: str, task: str) -> None:
    X, y = make_rows(120, 0)
    few = QUICK.get(family, {}) | {"lightgbm": {"bags": 2}, "linear": {"quantile_transform": 1}}.get(family, {})
    params = default_params(family) | few | {EMBEDDED: COLUMNS, EMBEDDINGS: WITHOUT}
    classes, metric = (2, "roc_auc") if task == "binary" else (0, "rmse")
    model = fit_model(family, params, X, y, task, classes, metric, threads=1)
    other = X.copy()
    other[:, [1, 3]] = [[1e6, np.nan]]
    assert predict(model, X).tobytes() == predict(model, other).tobytes()
    used = fit_model(family, {**params, EMBEDDINGS: WITH}, X, y, task, classes, metric, threads=1)
    assert predict(used, X).tobytes() != predict(used, other).tobytes()


def test_other_families_always_use_them() -> None:
    X, y = make_rows(60, 0)
    with pytest.raises(ValueError, match="'without' for the family knn, which always uses them"):
        fit_model("knn", default_params("knn") | {EMBEDDED: COLUMNS, EMBEDDINGS: WITHOUT}, X, y, "binary", 2)


def test_the_search_tries_both_and_the_better_one_wins() -> None:
    (X, _), (held, _) = make_rows(150, 1), make_rows(150, 2)
    y, valid_y = (X[:, 0] > 0).astype(int), (held[:, 0] > 0).astype(int)  # the embeddings are noise
    fold = Fold(X, y, held, valid_y, rows=np.arange(150), constraints={EMBEDDED: COLUMNS})
    tuned = tune([fold], "binary", "log_loss", 2, families=["linear"], trials=3, seconds=0, ensemble=False, workers=1)
    assert tuned.best.params[EMBEDDINGS] == WITHOUT and len(tuned.trials) == 3
    plain = Fold(X, y, held, valid_y, rows=np.arange(150))
    tuned = tune([plain], "binary", "log_loss", 2, families=["linear"], trials=1, seconds=0, ensemble=False, workers=1)
    assert EMBEDDINGS not in tuned.best.params


def test_early_trials_are_repeated_without_embeddings_and_later_ones_choose() -> None:
    first = first_trials(SEARCHED, 500, 40, embedded=True)
    assert [family for family, params in first[:6] if params.get(EMBEDDINGS) == WITHOUT] == ["lightgbm", "linear"]
    assert all(EMBEDDINGS not in params for family, params in first if family in ("knn", "mlp"))
    assert all(EMBEDDINGS not in params for _, params in first_trials(SEARCHED, 500, 40))
    search = SearchSettings(("linear",), 500, 40, embedded=True)
    drawn = {propose(index, {}, search).params[EMBEDDINGS] for index in range(len(search.first), 40)}
    assert drawn == {WITH, WITHOUT} and "knn" not in search.choices("knn")


def test_a_warm_start_keeps_the_choice() -> None:
    warm = {"trials": [{"family": "linear", "params": {"alpha": 2.0, EMBEDDINGS: WITHOUT}}]}
    (retained,) = read_warm_start(warm, ["linear"], 9, None, True)
    (dropped,) = read_warm_start(warm, ["linear"], 9)
    assert retained.params[EMBEDDINGS] == WITHOUT and EMBEDDINGS not in dropped.params
