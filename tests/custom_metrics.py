"""A small metric as a project defines it, its notebook, and changes that break its contract."""

from pathlib import Path

from custom_families import write_family

FILE = "nbs/metrics/profit.ipynb"
CODE = """#| export
import numpy as np

from mlnb.methods.metrics.metric_interface import CustomMetric


class Profit(CustomMetric):
    name = "profit"
    tasks = ("binary",)
    direction = "maximize"
    needs = "label"
    low, high = -1.0, 5.0

    def score(self, y, prediction, weights):
        gain = np.where(prediction == 1, np.where(y == 1, 5.0, -1.0), 0.0)
        return np.average(gain, weights=weights)
"""
# What a metric can do wrong: a change of the code, and the text of the error.
FAULTS = {
    "NaN": ("return np.average(gain, weights=weights)", "return np.nan", "score returned nan"),
    "one class": ("(gain, weights=weights)", "(gain, weights=weights) / np.ptp(y)", "of 30 rows: score returned"),
    "exception": ("gain = np.where", "gain = np.there", "in `gain = np.there"),
    "text": ("np.average(gain, weights=weights)", "'high'", "could not convert string to float: 'high'"),
    "range": ("5.0, -1.0)", "20.0, -1.0)", "score returned 10, outside of"),
    "random": ("return np", "return np.random.default_rng().random() + 0 * np", "the same rows are scored"),
    "order": ("return np.average(gain, weights=weights)", "return float(gain[0])", "in another order"),
    "direction": ('"maximize"', '"minimize"', "perfect predictions are not better than opposite ones"),
    "constant": (
        "return np.average(gain, weights=weights)",
        "return 1.0 - (prediction != y).all()",
        "one answer for all",
    ),
    "weights": ("(gain, weights=weights)", "(gain)", "rows that are repeated as often"),
    "writes": ("gain = np.where", "y[0] = 1; gain = np.where", "read-only"),
}


def write_metric(root: Path, file: str = FILE, code: str = CODE) -> Path:
    """Return the notebook of a metric, written into a project."""
    return write_family(root, file, code)
