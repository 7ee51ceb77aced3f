"""The models that are exported in both forms: family, task, decision."""

from mlnb.methods.models.anomaly_detectors import DETECTORS

MODELS = [
    ("lambdarank", "ranking", "plain"),
    ("random_forest", "ranking", "plain"),
    ("lightgbm", "binary", "plain"),
    ("lightgbm", "binary", "sigmoid"),
    ("lightgbm", "binary", "beta"),
    ("lightgbm", "binary", "isotonic"),
    ("lightgbm", "multiclass", "temperature"),
    ("lightgbm", "regression", "interval"),
    ("random_forest", "multiclass", "plain"),
    ("hist_gradient_boosting", "binary", "plain"),
    ("ensemble", "binary", "sigmoid"),
    ("linear", "ranking", "plain"),
    ("mixed", "binary", "plain"),
    ("knn", "regression", "interval"),
    ("rbf_kernel", "regression", "interval"),
    ("rbf_kernel", "multiclass", "plain"),
    ("skewed", "regression", "interval"),
    ("poisson", "regression", "plain"),
    *[(family, "anomaly", "plain") for family in DETECTORS],
]
