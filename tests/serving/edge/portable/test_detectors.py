"""Anomaly detectors by Python alone, against `anomaly_detectors`."""

import json

import numpy as np
import pytest

from mlnb.methods.models import anomaly_detectors
from mlnb.methods.models.anomaly_detectors import DETECTORS
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params
from mlnb.serving.edge.model_numbers import to_numbers
from mlnb.serving.edge.portable import detectors


@pytest.mark.parametrize("family", DETECTORS)
def test_scores_are_the_detector_s(family):
    rng = np.random.default_rng(0)
    X, far = rng.normal(size=(300, 3)), 4 * rng.normal(size=(60, 3))
    X[:, 2], far[:4, 0] = np.round(X[:, 2]), np.nan
    model = fit_model(family, default_params(family), X, np.zeros(300), "anomaly", 0)
    member = json.loads(json.dumps(vars(to_numbers(model))))
    actual = [detectors.predict(member, row)[0] for row in far.tolist()]
    np.testing.assert_allclose(actual, predict(model, far), rtol=1e-13, atol=1e-13)


def test_values_are_compressed_to_the_same_bits():
    values = np.random.default_rng(1).normal(scale=5.0, size=500)
    native = {"centre": np.zeros(1), "scale": np.ones(1), "knee": detectors.KNEE}
    expected = anomaly_detectors._standardize(values[:, None], native)[:, 0]
    assert [detectors.compress(value) for value in values.tolist()] == expected.tolist()
