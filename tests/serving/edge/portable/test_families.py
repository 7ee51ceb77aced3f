"""Model families by Python alone, against numpy."""

import json

import numpy as np
import pytest
from numpy_families import CASES, fit_family

from mlnb.methods.models.fitted_models import NUMPY_MODELS, predict
from mlnb.serving.edge.model_numbers import to_numbers
from mlnb.serving.edge.portable import families


@pytest.mark.parametrize("quantiles", [0, 1])
@pytest.mark.parametrize(("task", "classes"), CASES)
@pytest.mark.parametrize("family", NUMPY_MODELS)
def test_predictions_are_numpy_s(family, task, classes, quantiles):
    model, far = fit_family(family, task, classes, quantiles)
    member = json.loads(json.dumps(vars(to_numbers(model))))
    actual = [families.predict(member, row) for row in far.tolist()]
    np.testing.assert_allclose(actual, predict(model, far).reshape(30, -1), rtol=0, atol=1e-14)
