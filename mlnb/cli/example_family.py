"""The example of a model family that `mlnb new --with-model` writes."""

FILE = "nbs/models/gradient_boosting.ipynb"

CELLS = '''\
%% md
# Gradient boosting of scikit-learn

> A model family of this project: scikit-learn's gradient boosting, searched, packaged and served like the others.

%% md
The search finds the family in this notebook: `mlnb run` tries its defaults first and draws hyperparameters from `space`
later. `mlnb run -p tune.families gradient_boosting` searches this family alone. A change of the cells with
`#| export` reruns tuning and training, and no stage before. To use another estimator, change `fit`, `name` and `space`.

%% code
#| default_exp models.gradient_boosting

%% code
#| export
import pickle

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from mlnb.methods.models.family_interface import ModelFamily, Range
from mlnb.methods.models.fitted_models import to_bytes

%% md
## The family

`pickled = True` states that a pickle is saved. Loading one can run code, so a family that can save numbers or the
format of its library should do so. `to_bytes` pickles estimators of scikit-learn to the same bytes each time, which
`pickle.dumps` does not: it includes unused memory of the trees.

%% code
#| export
class FittedGradientBoosting:
    """A fitted pipeline of scikit-learn."""

    def __init__(self, pipeline) -> None:
        self.pipeline = pipeline

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities (n, classes), or values (n,)."""
        return self.pipeline.predict_proba(X) if hasattr(self.pipeline, "predict_proba") else self.pipeline.predict(X)

    def save(self) -> bytes:
        """Return the pickled pipeline, the same bytes for the same fit."""
        return to_bytes(self.pipeline)


class GradientBoosting(ModelFamily):
    """Gradient boosting of regression trees on imputed columns (Friedman, 2001)."""

    name = "gradient_boosting"
    tasks = ("binary", "multiclass", "regression")
    space = {
        "n_estimators": Range(30, 300, 100, log=True, integer=True),
        "learning_rate": Range(0.02, 0.3, 0.1, log=True),
        "max_depth": Range(1, 6, 3, integer=True),
        "subsample": Range(0.5, 1.0, 0.8),
    }
    pickled = True

    def fit(self, X, y, weights, params, spec) -> FittedGradientBoosting:
        """Return a fitted pipeline."""
        kind = GradientBoostingClassifier if spec.classes else GradientBoostingRegressor
        model = kind(random_state=spec.seed, **params)
        pipeline = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), model)
        return FittedGradientBoosting(pipeline.fit(X, y, **{f"{pipeline.steps[-1][0]}__sample_weight": weights}))

    def load(self, data: bytes) -> FittedGradientBoosting:
        """Return the model that `save` wrote."""
        return FittedGradientBoosting(pickle.loads(data))

%% md
## The checks
Determinism, saved and loaded models, missing values, one row against a batch, absent classes, weights, and the ends of
the ranges.

%% code
from mlnb.testing import check_model_family

check_model_family(GradientBoosting, params={"n_estimators": 30})
'''
