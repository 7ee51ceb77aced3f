"""Residual models are the base and the fitted difference, alone, in an ensemble and after loading."""

import numpy as np
import pytest

from mlnb.methods.contracts.candidates import Candidate, EnsembleMember
from mlnb.methods.models.autoregression import FIRST_LOCAL
from mlnb.methods.models.fitted_models import load_model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.residual_models import BASES, RESIDUAL
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.tuning.final_fit import fit_winner

random = np.random.default_rng(0)
X = np.column_stack([1 + np.arange(300) % 3, random.normal(size=(300, FIRST_LOCAL + len(BASES)))])
TREND = np.linspace(0, 50, 300)
X[:, FIRST_LOCAL + BASES.index("theta") - 1] = TREND
y = TREND + X[:, -1]


@pytest.mark.parametrize("family", RESIDUAL)
def test_a_trend_in_the_base_is_continued(family):
    params = default_params(family) | {"base": BASES.index("theta")}
    model = fit_model(family, params, X[:200], y[:200], "forecasting", metric="mase")
    later = predict(model, X[200:])
    assert np.abs(later - y[200:]).mean() < 0.6  # a tree of the values themselves is wrong by 17
    plain = fit_model("lightgbm", {"rounds": 80}, X[:200], y[:200], "forecasting", metric="mase")
    assert np.abs(predict(plain, X[200:]) - y[200:]).mean() > 5


@pytest.mark.parametrize("family", RESIDUAL)
def test_members_of_an_ensemble_are_flat_and_keep_their_weight(family, tmp_path):
    entries = [(family, default_params(family), 0.25), ("theta", {}, 0.5), ("linear", default_params("linear"), 0.25)]
    members = tuple(
        EnsembleMember(family=name, params=params, weight=weight, class_weight="none", number=number, score=1.0)
        for number, (name, params, weight) in enumerate(entries)
    )
    best = Candidate(
        family="ensemble", params={}, class_weight="none", members=members, metric="mase", direction="minimize",
        score=1.0, deviation=0.0, fold_scores=(1.0,), number=0, sampler="tpe", seed=0, stopped_by="trials",
    )  # fmt: skip
    model = fit_winner(best, "forecasting", 0, "mase", X, y)
    assert model.native["weights"] == [0.25, 0.25, 0.5, 0.25]
    assert not any("members" in member.native for member in model.native["members"] if isinstance(member.native, dict))
    alone = [fit_model(name, params, X, y, "forecasting", metric="mase") for name, params, _ in entries]
    expected = sum(weight * predict(each, X) for each, (_, _, weight) in zip(alone, entries, strict=True))
    np.testing.assert_allclose(predict(model, X), expected, rtol=1e-12)
    assert predict(load_model(save_model(model, tmp_path)), X).tobytes() == predict(model, X).tobytes()
