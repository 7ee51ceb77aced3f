"""LightGBM's text format: its trees, or the reason of a refusal."""

import lightgbm
import numpy as np
import pytest
from random_trees import score_row_by_row

from mlnb.errors import UsageError
from mlnb.serving.edge.lightgbm_text import read_booster

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4))
X[RNG.random(X.shape) < 0.1] = np.nan
Y = np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 1]) ** 2


def train(**params):
    targets = {"multiclass": np.digitize(Y, [0, 1]), "binary": Y > 1, "poisson": np.abs(Y)}
    y = targets.get(params["objective"], Y)
    columns = params.pop("categorical_feature", "auto")
    data = lightgbm.Dataset(X, y, categorical_feature=columns, free_raw_data=False)
    return lightgbm.train({"verbose": -1, "num_leaves": 7, **params}, data, 5)


@pytest.mark.parametrize(
    ("params", "link", "outputs"),
    [
        ({"objective": "regression"}, "identity", 1),
        ({"objective": "poisson"}, "exp", 1),
        ({"objective": "binary", "sigmoid": 2.0}, "sigmoid", 1),
        ({"objective": "multiclass", "num_class": 3}, "softmax", 3),
    ],
)
def test_trees_give_the_booster_s_scores(params, link, outputs):
    booster = train(**params)
    boosted = read_booster(booster.model_to_string())
    assert (boosted.link, boosted.outputs, boosted.slope) == (link, outputs, params.get("sigmoid", 1.0))
    expected = booster.predict(X, raw_score=True).reshape(len(X), -1)
    np.testing.assert_allclose(score_row_by_row(boosted, X), expected, rtol=0, atol=1e-12)


def test_averaged_output_is_read():
    booster = train(objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.5)
    assert read_booster(booster.model_to_string()).mean


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"objective": "regression", "zero_as_missing": True}, "take zero as missing"),
        ({"objective": "regression", "linear_tree": True}, "hold linear models"),
        ({"objective": "regression", "reg_sqrt": True}, "objective 'regression sqrt' cannot be exported"),
    ],
)
def test_unsupported_models_are_an_error(params, message):
    with pytest.raises(UsageError, match=message):
        read_booster(train(**params).model_to_string())
