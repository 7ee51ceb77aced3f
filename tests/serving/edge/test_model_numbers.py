"""Models as plain numbers: JSON values, without arrays."""

import json

import numpy as np
import pytest
from custom_families import CODE
from numpy_families import fit_family

from mlnb.errors import UsageError
from mlnb.methods.models.anomaly_detectors import score_rows
from mlnb.methods.models.custom_families import CustomFamily, CustomModel, load_family
from mlnb.methods.models.fitted_models import NUMPY_MODELS, Model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.optional_families import OPTIONAL_FAMILIES
from mlnb.methods.models.search_spaces import default_params
from mlnb.serving.edge.model_numbers import to_numbers
from mlnb.serving.edge.portable import detectors


@pytest.mark.parametrize("family", NUMPY_MODELS)
def test_numbers_are_json(family):
    model, _ = fit_family(family, "multiclass", 4, 1)
    numbers = to_numbers(model)
    assert (numbers.family, numbers.classes, numbers.code) == (family, 4, "families.py")
    assert json.loads(json.dumps(numbers.numbers)) == numbers.numbers
    assert None not in numbers.numbers.values()


def test_leaves_of_isolation_trees_lead_to_minus_one():
    X = np.random.default_rng(0).normal(size=(100, 3))
    model = fit_model("isolation_forest", default_params("isolation_forest"), X, np.zeros(100), "anomaly", 0)
    numbers = to_numbers(model)
    assert numbers.code == "detectors.py"
    for feature, threshold, left, right, length in numbers.numbers["scorers"]["isolation_forest"]["fitted"]["trees"]:
        assert len({len(feature), len(threshold), len(left), len(right), len(length)}) == 1
        assert [child < 0 for child in left] == [child < 0 for child in right]
        assert all(child > node for node, child in enumerate(left) if child >= 0)


def test_rows_with_copies_are_written_once_and_scored_alike():
    random = np.random.default_rng(1)
    X = random.normal(size=(50, 3))
    X = np.r_[X, X[random.integers(0, 5, 40)]][random.permutation(90)]
    model = fit_model("detector_ensemble", default_params("detector_ensemble"), X, np.zeros(90), "anomaly", 0)
    numbers = to_numbers(model).numbers
    counts = {name: numbers["scorers"][name]["fitted"]["count"] for name in ("knn_distance", "lof")}
    assert counts == {"knn_distance": 90, "lof": 50} and len(numbers["rows"]) == 90
    new = random.normal(size=(6, 3))
    scores = [detectors.predict({"numbers": numbers}, row)[0] for row in new.tolist()]
    assert np.allclose(scores, score_rows(model.native, new), rtol=1e-9)


def test_a_constant_is_a_family():
    numbers = to_numbers(Model("baseline", "regression", 0, 2, {"constant": np.array([1.5])}))
    assert (numbers.family, numbers.numbers) == ("constant", {"constant": [1.5]})


def test_other_estimators_are_refused():
    with pytest.raises(UsageError, match="family 'own' is a pickle of object, which Python alone cannot read"):
        to_numbers(Model("own", "regression", 0, 2, object()))


def test_custom_families_are_refused():
    native = CustomModel(load_family(CODE, "nbs/models/halves.ipynb"), object())
    with pytest.raises(UsageError, match="family 'halves' is code of the project, which Python alone cannot read"):
        to_numbers(Model("halves", "regression", 0, 2, native))
    native = CustomModel(CustomFamily(OPTIONAL_FAMILIES["xgboost"]), object())
    with pytest.raises(UsageError, match="family 'xgboost' is a model of another library"):
        to_numbers(Model("xgboost", "regression", 0, 2, native))
