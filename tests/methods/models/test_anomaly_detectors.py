"""Anomaly detectors on difficult rows, against scikit-learn, and after a round trip through a file."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor

from mlnb.errors import DataError
from mlnb.methods.models import anomaly_detectors
from mlnb.methods.models.anomaly_detectors import DETECTORS, MEMBERS, fit_detector, prepare, score_rows
from mlnb.methods.models.fitted_models import Model, load_model, save_model

RANDOM = np.random.default_rng(0)
MIXING = RANDOM.normal(size=(6, 6))
DIFFICULT = {
    "all equal": np.ones((40, 3)),
    "empty": np.full((40, 2), np.nan),
    "enormous": np.linspace(-1, 1, 40)[:, None] * 1e308,
    "infinite": np.where(np.eye(40, 3) > 0, np.inf, 1.0),
    "more columns than rows": RANDOM.normal(size=(30, 250)),
    "one column": np.arange(40.0)[:, None],
    "two values": (np.arange(400) < 3).astype(float)[:, None],
}


@pytest.fixture(scope="module")
def rows():
    """Return training rows with outliers and missing values, and new rows."""
    training = np.r_[RANDOM.normal(size=(500, 6)) @ MIXING, RANDOM.normal(size=(20, 6)) * 3]
    training[RANDOM.random(training.shape) < 0.02] = np.nan
    return training, np.r_[RANDOM.normal(size=(300, 6)) @ MIXING, RANDOM.normal(size=(30, 6)) * 3]


@pytest.mark.parametrize("family", DETECTORS)
@pytest.mark.parametrize("name", DIFFICULT)
def test_scores_are_finite(family, name):
    if family == "mahalanobis" and name == "more columns than rows":
        pytest.skip("the covariance of 250 columns and 30 rows")
    training = DIFFICULT[name]
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isfinite(score_rows(fit_detector(family, {}, training), training)).all()


@pytest.mark.parametrize("family", DETECTORS)
def test_a_row_alone_and_after_a_file_has_the_same_bits(family, rows, tmp_path):
    training, new = rows
    native = fit_detector(family, {}, training, seed=1)
    scores = score_rows(native, new)
    loaded = load_model(save_model(Model(family, "anomaly", 0, 6, native), tmp_path)).native
    assert score_rows(loaded, new).tobytes() == scores.tobytes()
    for row in (0, 7, 329):
        assert score_rows(loaded, new[row : row + 1]).tobytes() == scores[row : row + 1].tobytes()


def test_the_isolation_forest_is_scikit_learn_s(rows):
    Z = anomaly_detectors._standardize(rows[0], fit_detector("ecod", {}, rows[0]))
    expected = -IsolationForest(random_state=1, max_samples=256).fit(Z).score_samples(Z)
    fitted = anomaly_detectors._fit_isolation(Z, {}, 1)
    assert np.allclose(anomaly_detectors._score_isolation(Z, fitted), expected, atol=1e-5)


def test_the_local_outlier_factor_is_scikit_learn_s(rows):
    Z = anomaly_detectors._standardize(rows[0], fit_detector("ecod", {}, rows[0]))
    expected = LocalOutlierFactor(20, novelty=True).fit(Z)
    fitted = anomaly_detectors._fit_lof(Z, {}, 1)
    assert np.allclose(anomaly_detectors._score_lof(Z + 0.01, fitted), -expected.score_samples(Z + 0.01))
    assert np.allclose(anomaly_detectors._score_lof(Z, fitted, itself=True), -expected.negative_outlier_factor_)


def rank_anomalies(family, training, strange):
    """Return the mean share of training rows with a lower score than an anomaly."""
    native = fit_detector(family, {}, training)
    return np.mean(score_rows(native, training)[None] < score_rows(native, strange)[:, None])


def test_the_ensemble_does_not_hide_what_one_detector_sees():
    random = np.random.default_rng(2)
    hidden = random.normal(size=(500, 2))
    dependent = hidden @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(500, 6))
    strange = np.stack([random.permutation(dependent[:, j])[:40] for j in range(6)], axis=1)  # each value is usual
    tails = random.standard_t(5, (500, 6))
    far = random.standard_t(5, (40, 6))
    far[:, 0], far[:, 3] = 2 * tails[:, 0].max(), 2 * tails[:, 3].min()
    for training, anomalies in ((dependent, strange), (tails, far)):
        alone = {name: rank_anomalies(name, training, anomalies) for name in MEMBERS}
        together = rank_anomalies("detector_ensemble", training, anomalies)
        assert together > max(alone.values()) - 0.05 and together > np.mean(list(alone.values())), alone


@pytest.mark.parametrize("family", DETECTORS)
def test_units_and_origins_of_columns_change_no_order(family, rows):
    training, new = rows
    factors, shift = 2.0 ** np.arange(-3, 3), 8.0 * np.arange(6)
    before = score_rows(fit_detector(family, {}, training), new)
    after = score_rows(fit_detector(family, {}, training * factors + shift), new * factors + shift)
    assert np.corrcoef(before, after)[0, 1] > 0.999


def test_one_column_with_a_heavy_tail_does_not_hide_the_others():
    random = np.random.default_rng(4)
    training = np.c_[random.standard_t(1.5, 600), random.normal(size=(600, 5))]
    strange = np.c_[random.normal(size=(40, 1)), 2.0 * random.choice([-1.0, 1.0], (40, 5))]
    assert rank_anomalies("knn_distance", training, strange) > 0.985  # 0.976 if tails are not compressed


def test_some_rows_far_away_do_not_hide_the_others(rows):
    training, new = rows
    spoiled = np.r_[training, np.full((len(training) // 25, 6), 1e6)]
    before = score_rows(fit_detector("detector_ensemble", {}, training), new)
    scores = score_rows(fit_detector("detector_ensemble", {}, spoiled), new)
    assert (scores[300:] > np.median(scores)).mean() > 0.8 and np.corrcoef(before, scores)[0, 1] > 0.7


def test_copies_of_rows_do_not_make_their_neighbors_outliers():
    random = np.random.default_rng(3)
    normal, far = random.normal(size=(300, 3)), random.normal(size=(40, 3)) + 4.0
    copied = np.r_[normal, np.repeat(normal[:5], 60, axis=0)]  # the density at five rows is infinite
    near = normal[:5] + 0.05
    for family in ("lof", "detector_ensemble"):
        native = fit_detector(family, {}, copied)
        assert score_rows(native, near).max() < np.quantile(score_rows(native, far), 0.1), family


def test_a_detector_of_an_earlier_version_is_refused(rows):
    native = fit_detector("ecod", {}, rows[0])
    assert prepare(native)["scorers"].keys() == {"ecod"}
    with pytest.raises(DataError, match="earlier version of mlnb"):
        prepare({name: value for name, value in native.items() if name != "knee"})


@pytest.mark.parametrize("family", ["detector_ensemble", "ecod"])
@pytest.mark.parametrize("exponent", [-970, 1019])
def test_scores_do_not_depend_on_the_unit_of_a_column(family, exponent):
    training = RANDOM.normal(size=(60, 3))
    unit = np.array([1.0, 2.0**exponent, 1.0])
    plain, scaled = (score_rows(fit_detector(family, {}, rows), rows) for rows in (training, training * unit))
    assert np.allclose(plain, scaled, rtol=1e-6)
