"""A small model family as a project defines it, its notebook, and changes that break its contract."""

import json
from pathlib import Path

FILE = "nbs/models/halves.ipynb"
CODE = """#| export
import json

import numpy as np

from mlnb.methods.models.family_interface import ModelFamily, Range


class Halves:
    def __init__(self, cut, sides, classes):
        self.cut, self.sides, self.classes = cut, sides, classes

    def predict(self, X):
        p = np.array(self.sides)[(X[:, 0] > self.cut).astype(int)]
        return p if self.classes else p[:, 0]

    def save(self):
        return json.dumps([self.cut, self.sides, self.classes]).encode()


class HalvesFamily(ModelFamily):
    name = "halves"
    tasks = ("binary", "multiclass", "regression")
    space = {"quantile": Range(0.1, 0.9, 0.5)}

    def fit(self, X, y, weights, params, spec):
        cut = float(np.nan_to_num(np.nanquantile(X[:, 0], params["quantile"])))
        weights = np.ones(len(y)) if weights is None else weights
        targets = np.eye(spec.classes)[y] if spec.classes else y[:, None]
        above = X[:, 0] > cut
        sides = [np.average(targets, axis=0, weights=weights * (above == side) + 1e-9).tolist() for side in (0, 1)]
        return Halves(cut, sides, spec.classes)

    def load(self, data):
        return Halves(*json.loads(data))
"""
# What a family can do wrong: a change of the code, and the text of the error.
FAULTS = {
    "NaN": ("return p if self.classes", "p = p / (X[:, :1] - X[:, :1])\n        return p if self.classes", "NaN"),
    "shape": ("p if self.classes else p[:, 0]", "p[:, 0] if self.classes else p", "array of shape"),
    "random": ("weights * (above", "np.random.default_rng().random(len(y)) * (above", "two fits with the same seed"),
    "exception": ("targets = np.eye", "targets = np.eyes", "in `targets = np.eyes"),
    "batch": ("X[:, 0] > self.cut", "X[:, 0] > np.nan_to_num(X[:, 0]).mean()", "rowwise = True"),
    "weights": ("weights = np.ones(len(y)) if weights is None else", "weights = 1.0 +", "weights"),
    "loaded": ("Halves(*json.loads(data))", "Halves(0.0, [[0.5, 0.5]] * 2, 2)", "saved and loaded"),
    "pickle": (
        "json.dumps([self.cut, self.sides, self.classes]).encode()",
        "__import__('pickle').dumps(1)",
        "a pickle",
    ),
}


def write_family(root: Path, file: str = FILE, code: str = CODE) -> Path:
    """Return the notebook of a family, written into a project."""
    cells = [f"#| default_exp models.{Path(file).stem}", code, "assert True  # not exported"]
    parts = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": c} for c in cells]
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": parts, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path
