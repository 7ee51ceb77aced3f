"""Skewed targets: searched only where they are, finite for any target, the same bits after loading, and unbiased."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import DataError, ParameterError
from mlnb.methods.models.fitted_models import load_model, predict, save_model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.methods.models.skewed_targets import (
    FOR_MEANS,
    FOR_MEDIANS,
    from_log,
    is_skewed,
    learn_log,
    skewness,
    smearing_factor,
    to_log,
)
from mlnb.methods.training_data.cross_validation import Fold
from mlnb.methods.tuning.final_fit import fit_winner
from mlnb.methods.tuning.hyperparameter_search import tune
from mlnb.methods.tuning.trial_proposals import TrialProposal, warm_start_trials
from mlnb.methods.tuning.trials import Objective, run_trial

random = np.random.default_rng(0)
X = random.normal(size=(150, 3))
SKEWED = np.exp(1 + X[:, 0] + 0.5 * random.normal(size=150))
QUICK = {"lightgbm": {"rounds": 10}, "mlp": {"bags": 1, "width": 16}, "hist_gradient_boosting": {"max_iter": 10}}
QUICK |= {"random_forest": {"n_estimators": 5}, "extra_trees": {"n_estimators": 5}}
MODELS = [(family, kind) for table in (FOR_MEANS, FOR_MEDIANS) for family, kinds in table.items() for kind in kinds]
SEARCH = {"task": "regression", "metric": "rmse", "families": ["lightgbm", "linear", "extra_trees"], "trials": 8}


def fit(family, kind, y, metric="rmse", **more):
    params = default_params(family) | QUICK.get(family, {}) | {"target_distribution": kind} | more
    return fit_model(family, params, X, y, "regression", metric=metric)


def folds(y):
    at = np.arange(len(y)) % 3
    rows = [np.flatnonzero(at == fold) for fold in range(3)]
    return [Fold(X[at != f], y[at != f], X[at == f], y[at == f], rows=rows[f]) for f in range(3)]


@pytest.fixture(scope="module")
def tuned():
    return tune(folds(SKEWED), **SEARCH)


@pytest.mark.parametrize(("family", "kind"), dict.fromkeys(MODELS))
def test_a_model_is_saved_with_its_bits_and_scores_a_row_as_a_batch(family, kind, tmp_path):
    for name, y in {"skewed": SKEWED, "zeros": np.floor(SKEWED), "large": SKEWED * 1e9}.items():
        first, second = (save_model(fit(family, kind, y), tmp_path / name / number) for number in "12")
        files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
        assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)
        model, far = load_model(first), np.r_[X[:5], 1e6 * X[:5], np.full((1, 3), np.nan)]
        batch = predict(model, far)
        assert np.isfinite(batch).all() and (batch >= 0).all()
        assert batch.tolist() == [predict(model, row[None])[0] for row in far]


@given(
    st.lists(st.floats(0, 1e300) | st.sampled_from([0.0, 1.0, 1e300, 5e-324]), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=9),
)
@settings(max_examples=60)
def test_any_target_gives_finite_predictions_in_its_range(values, logs):
    y, z = np.array(values), np.array(logs)
    transform = learn_log(y, smearing_factor(y, y[::-1]))
    assert np.isfinite(to_log(transform, y)).all() and np.isfinite(skewness(y))
    inverted = from_log(transform, z)
    assert np.isfinite(inverted).all() and (inverted >= 0).all()
    assert is_skewed(y) in (True, False)


@pytest.mark.parametrize(("family", "kind"), dict.fromkeys(MODELS))
def test_a_target_outside_the_domain_is_refused(family, kind):
    with pytest.raises(ValueError, match=r"found a target of -1, .*use target_distribution normal"):
        fit(family, kind, np.r_[-1.0, SKEWED[1:]])
    with pytest.raises(ValueError, match="found targets that are all 0"):
        fit(family, kind, 0.0 * SKEWED)


def test_a_family_without_the_distribution_is_refused():
    with pytest.raises(ValueError, match="found target_distribution 'tweedie' for the family knn"):
        fit("knn", "tweedie", SKEWED)


def test_a_skewed_target_is_searched_with_other_distributions(tuned):
    kinds = {(row.family, row.params.partition('target_distribution": "')[2][:6]) for row in tuned.trials.itertuples()}
    assert {("lightgbm", "poisso"), ("lightgbm", "tweedi"), ("linear", "poisso"), ("linear", "normal")} <= kinds
    again = tune(folds(SKEWED), workers=1, **SEARCH)
    assert again.trials.equals(tuned.trials) and again.predictions.tobytes() == tuned.predictions.tobytes()


@pytest.mark.parametrize("y", [np.log(SKEWED), -SKEWED, np.floor(np.minimum(SKEWED, 4.0))], ids=["even", "low", "few"])
def test_other_targets_are_searched_as_before(y):
    tuned = tune(folds(y), **SEARCH | {"families": ["linear", "baseline"], "trials": 4})
    assert not tuned.trials["params"].str.contains("target_distribution").any()


def test_a_warm_start_repeats_the_distribution_of_a_skewed_target(tuned):
    warm = warm_start_trials(tuned.best, tuned.trials, "prices:1")
    named = warm | {"trials": [entry for entry in warm["trials"] if "poisson" in str(entry["params"])][:1]}
    started = tune(folds(SKEWED), warm=named, **SEARCH | {"trials": 4})
    assert "poisson" in started.trials.iloc[0]["params"]
    even = tune(folds(np.log(SKEWED)), warm=named, **SEARCH | {"trials": 4})
    assert "target_distribution" not in even.trials.iloc[0]["params"]


def test_the_mean_of_a_logarithm_is_corrected_out_of_fold():
    y = np.exp(X[:, 0] + random.normal(size=150))
    params = default_params("linear") | {"target_distribution": "log-normal"}
    squared, absolute = (
        run_trial(TrialProposal("linear", params), folds(y), Objective("regression", 0, metric))
        for metric in ("rmse", "mae")
    )
    assert squared.scores.smearing > 1.2 and absolute.scores.smearing is None
    assert abs(squared.predictions.sum() / y.sum() - 1) < 0.15 < 1 - absolute.predictions.sum() / y.sum()
    model, whole = (fit("linear", "log-normal", y, smearing=factor) for factor in (1.0, squared.scores.smearing))
    assert np.allclose(predict(whole, X), squared.scores.smearing * predict(model, X))


@pytest.mark.parametrize("outlier", [1e300, -1e300])
def test_one_enormous_value_is_refused_with_a_clear_error(outlier):
    y = np.r_[outlier, SKEWED[1:]]
    with pytest.raises(ValueError, match=r"found a target of 1e\+300, expected at most 1e\+150.*remove the row"):
        tune(folds(y), **SEARCH | {"trials": 4})


def test_a_target_beyond_the_range_of_one_family_is_fitted_by_others():
    y = np.r_[1e40, SKEWED[1:]]
    tuned = tune(folds(y), **SEARCH | {"families": ["lightgbm", "linear"], "trials": 4})
    assert "the range of LightGBM" in tuned.trials["error"].iloc[0]
    model = fit_winner(tuned.best, "regression", 0, "rmse", X, y)
    assert tuned.best.family == "linear" and np.isfinite(predict(model, X)).all()


@pytest.mark.parametrize("kind", ["poisson", "log-normal"])
def test_weight_two_is_a_row_twice(kind):
    y, weights = np.floor(SKEWED), np.where(X[:, 1] > 0, 2.0, 1.0)
    twice, params = (
        np.repeat(np.arange(150), weights.astype(int)),
        default_params("linear") | {"target_distribution": kind},
    )
    weighted = fit_model("linear", params, X, y, "regression", metric="rmse", weights=weights, counts=weights)
    repeated = fit_model("linear", params, X[twice], y[twice], "regression", metric="rmse")
    np.testing.assert_allclose(predict(weighted, X), predict(repeated, X), rtol=2e-3)
    assert smearing_factor(y, SKEWED, weights) == pytest.approx(smearing_factor(y[twice], SKEWED[twice]))


SCALES = [1e-320, 1e-160, 1e-149, 1e-60, 1e-30, 1e30, 1e60, 1e149, 1e160, 1e300]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scale", SCALES)
def test_a_search_does_not_depend_on_the_unit_of_the_target(scale):
    search = SEARCH | {"trials": 4, "families": ["linear", "lightgbm"]}
    try:
        best = tune(folds(SKEWED * scale), **search).best
    except DataError as error:
        assert ("at most" in str(error) and "unit" in str(error)) and not 1e-150 < scale < 1e148
    else:
        kind = next(iter(best.models)).params.get("target_distribution")
        assert np.isclose(
            best.score / scale, tune(folds(SKEWED), **search | {"families": ["linear"]}).best.score, rtol=0.1
        )
        assert kind in ("normal", "poisson", None)


def test_an_exception_of_a_library_fails_the_trial_and_not_the_search(monkeypatch):
    class LibraryError(Exception):
        """Of a library, derived from no exception that Python has."""

    def fit_or_fail(family, *arguments, **options):
        if family == "lightgbm":
            raise LibraryError("sum of labels is zero")
        return fit_model(family, *arguments, **options)

    monkeypatch.setattr("mlnb.methods.tuning.trials.fit_model", fit_or_fail)
    trials = tune(folds(SKEWED), **SEARCH | {"trials": 4, "families": ["linear", "lightgbm"]}).trials
    assert set(trials.loc[trials["family"] == "lightgbm", "error"]) == {"LibraryError: sum of labels is zero"}


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"workers": -1}, {"threads": 0}, {"seconds": -1.0}, {"seconds": np.nan}]
)
def test_a_search_without_workers_or_time_is_refused(wrong):
    with pytest.raises(ParameterError, match=f"{next(iter(wrong))}, expected"):
        tune(folds(SKEWED), **SEARCH | wrong)
