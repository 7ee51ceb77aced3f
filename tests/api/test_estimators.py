"""The estimators in scikit-learn's tools: its own checks, pipelines, model selection, and hard input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import mlnb

FAST = {"trials": 1, "families": ("linear",), "n_jobs": 1}
CLASSIFIER, REGRESSOR = mlnb.TableClassifier(**FAST), mlnb.TableRegressor(**FAST)


def unequal(estimator):
    """Return scikit-learn's checks that must fail, with the reason."""
    reason = "repeated rows are validated in one fold, and calibration has folds of rows"
    return {"check_sample_weight_equivalence_on_dense_data": reason} if is_classifier(estimator) else {}


@parametrize_with_checks([CLASSIFIER, REGRESSOR], expected_failed_checks=unequal)
def test_scikit_learns_checks_pass(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.fixture
def table():
    """Rows of all kinds with a column whose name is that of the target, and a class that depends on two of them."""
    random, rows = np.random.default_rng(0), 240
    frame = pd.DataFrame(
        {
            "target": random.normal(size=rows),
            "plan": random.choice(["basic", "gold", None], rows),
            "7": random.integers(0, 5, rows),
            "since": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 400, rows), unit="D"),
            "weight": np.where(random.random(rows) < 0.2, np.nan, random.normal(size=rows)),
        },
        index=np.arange(rows) * 3,
    )
    return frame, np.where(frame["target"] + 2 * (frame["plan"] == "gold") > 0.5, "leaves", "stays")


def test_a_frame_of_all_kinds_is_learned_in_a_pipeline(table):
    frame, y = table
    pipeline = make_pipeline(FunctionTransformer(lambda rows: rows.drop(columns="since")), clone(CLASSIFIER))
    assert cross_val_score(pipeline, frame, y, cv=2).mean() > 0.85
    model = clone(CLASSIFIER).fit(frame, y)
    probabilities = model.predict_proba(frame.iloc[:5])
    assert model.classes_.tolist() == ["leaves", "stays"] and probabilities.shape == (5, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    shuffled = frame.iloc[:5][frame.columns[::-1]]
    with pytest.raises(ValueError, match="order"):
        model.predict_proba(shuffled)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(frame.iloc[:5]) == probabilities).all()
    assert (model.predict(frame) == model.classes_[model.predict_proba(frame).argmax(axis=1)]).all()


@pytest.mark.parametrize("labels", [[3, -1, 8], [True, False], ["b", "a", "c"], [2.0, 5.0]])
def test_classes_keep_their_type(labels):
    random = np.random.default_rng(0)
    X = random.normal(size=(90, 2))
    y = np.array(labels)[np.digitize(X[:, 0], [-0.4, 0.4][: len(labels) - 1])]
    predicted = clone(CLASSIFIER).fit(X, y).predict(X)
    assert predicted.dtype == y.dtype and (predicted == y).mean() > 0.8


def test_a_class_with_too_few_rows_has_probability_zero():
    X = np.random.default_rng(0).normal(size=(61, 2))
    y = np.where(X[:, 0] > 0, "a", "b")
    y[0] = "c"
    with pytest.warns(UserWarning, match="too few rows and are never predicted: 'c'"):
        model = clone(CLASSIFIER).fit(X, y)
    assert (model.predict_proba(X)[:, 2] == 0).all() and model.predict_proba(X).shape == (61, 3)


def test_hyperparameters_are_those_of_scikit_learns_model_selection():
    X = np.random.default_rng(0).normal(size=(120, 3))
    search = GridSearchCV(clone(REGRESSOR), {"families": [("linear",), ("knn",)]}, cv=2).fit(X, X @ [1.0, 2.0, 0.0])
    assert search.best_params_ == {"families": ("linear",)} and search.best_estimator_.best_.family == "linear"
    ends = search.best_estimator_.predict_interval(X)
    predicted = search.predict(X)
    assert ends.shape == (120, 2) and ((ends[:, 0] <= predicted) & (predicted <= ends[:, 1])).all()


def test_row_numbers_of_an_array_are_a_feature():
    X = np.arange(80.0).reshape(-1, 1)
    assert clone(REGRESSOR).fit(X, 2 * X[:, 0]).score(X, 2 * X[:, 0]) > 0.99


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (np.zeros((9, 1)), ["a"] * 9, {}, "one class, 'a'"),
        (pd.DataFrame({"a": []}), [], {}, r"shape \(0, 1\)"),
        (pd.DataFrame({"a": [1.0, 2.0]}), ["a", "b", "a"], {}, "2 rows of X and 3 of y"),
        (np.eye(9), list("abcabcabc"), {"families": ("lineer",)}, "linear"),
        (np.eye(9), list("abcabcabc"), {"metric": "auc"}, "roc_auc"),
        (pd.DataFrame({"a": [[1], [2], [3], [4]]}), list("abab"), {}, "a"),
    ],
)
def test_bad_input_gets_a_clear_error(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        mlnb.TableClassifier(**{**FAST, **options}).fit(X, y)
