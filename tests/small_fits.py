"""Parameters that make the fit of a model family short, for tests in which the quality of the model has no meaning."""

from typing import Any

QUICK: dict[str, dict[str, Any]] = {
    "lightgbm": {"rounds": 20},
    "lambdarank": {"rounds": 20},
    "random_forest": {"n_estimators": 20},
    "extra_trees": {"n_estimators": 20},
    "hist_gradient_boosting": {"max_iter": 20},
}
