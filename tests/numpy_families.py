"""Models with a numeric form, fitted on difficult data, and rows far outside of it."""

import numpy as np

from mlnb.methods.models.fitted_models import Model
from mlnb.methods.models.model_families import fit_model
from mlnb.methods.models.search_spaces import default_params

CASES = [("binary", 2), ("multiclass", 4), ("regression", 0)]


def fit_family(family: str, task: str, classes: int, quantiles: int) -> tuple[Model, np.ndarray]:
    """Return a model and rows (30, 4): equal knots, a constant column, missing values, and an absent class."""
    random = np.random.default_rng(0)
    X, far = random.normal(size=(60, 4)), 3 * random.normal(size=(30, 4))
    X[:, 1], X[:, 3] = random.integers(0, 3, 60), 5.0
    X[random.random(X.shape) < 0.1], far[:4, 0], far[:, 3] = np.nan, np.nan, [4, 5, 6] * 10
    value = np.nan_to_num(X[:, 2])
    y = {"binary": value > 0, "multiclass": random.choice([0, 1, 3], 60), "regression": 3 * value + 1}[task]
    networks = {"bags": 2, "width": 16, "bins": 8 * quantiles} if family == "mlp" else {}
    more = {"quantile_transform": quantiles, **networks}
    params = default_params(family) | more
    return fit_model(family, params, X, y.astype(int if classes else float), task, classes), far
