"""Fitted models as plain lists: what `portable/families.py` and `portable/detectors.py` read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.models.autoregression import FORECASTERS
from mlnb.methods.models.fitted_models import NUMPY_MODELS, Model
from mlnb.serving.edge.exports import describe_native


@dataclass(frozen=True)
class ModelNumbers:
    """A model as numbers.

    Args:
        family: the model's family.
        classes: number of classes, 0 where a value is predicted.
        code: the file in `portable` that reads the numbers.
        numbers: plain JSON values by name.
    """

    family: str
    classes: int
    code: str
    numbers: dict[str, object]


def to_numbers(model: Model) -> ModelNumbers:
    """Return a model as plain numbers. Raises `UsageError` for a model that is an estimator of another library."""
    native = model.native
    if isinstance(native, dict) and "constant" in native:
        return ModelNumbers("constant", model.classes, "families.py", _to_lists(native))
    if isinstance(native, dict) and "scorers" in native:
        return ModelNumbers(model.family, model.classes, "detectors.py", _to_lists(_describe_detector(native)))
    if isinstance(native, dict) and "column" in native:
        return ModelNumbers("column", model.classes, "families.py", _to_lists(native))
    if model.family == "mlp":
        native = native | {"networks": [_transpose_layers(arrays) for arrays in native["layers"]], "layers": None}
    elif model.family == "knn":
        weights, targets = native["weights"], native["targets"]
        native = native | {"shares": (weights[:, None] * targets).sum(axis=0) / weights.sum()}
    elif model.family not in (*NUMPY_MODELS, *FORECASTERS):
        raise UsageError(
            f"A model of the family {model.family!r} is {describe_native(native)}, which Python alone cannot read: "
            "only the families of mlnb have a text form. Use mlnb serve, mlnb containerize or mlnb score instead."
        )
    return ModelNumbers(model.family, model.classes, "families.py", _to_lists(native))


def _to_lists(values: Mapping[str, Any]) -> dict[str, object]:
    """Return values with their arrays as lists; None is left out."""
    return {name: _to_list(value) for name, value in values.items() if value is not None}


def _to_list(value: object) -> object:
    if isinstance(value, Mapping):
        return _to_lists(value)
    if isinstance(value, list | tuple):
        return [_to_list(inner) for inner in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _transpose_layers(arrays: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return each layer's weights, output by output, and its intercepts."""
    depth = len(arrays) // 2
    return [weights.T for weights in arrays[:depth]], arrays[depth:]


def _describe_detector(native: Mapping[str, Any]) -> dict[str, object]:
    """Return the detector with its training rows once, those of LOF first, and with trees whose leaves lead to -1."""
    scorers: dict[str, object] = {}
    rows = np.empty((0, 0))
    for name, scorer in native["scorers"].items():
        fitted = dict(scorer["fitted"])
        if name in ("knn_distance", "lof"):
            own = np.asarray(fitted.pop("rows"))
            fitted["count"] = len(own)
            rows = max(rows, own, key=len)
        elif name == "isolation_forest":
            trees = [_mark_leaves(fitted, number) for number in range(len(fitted["feature"]))]
            fitted = {"norm": fitted["norm"], "trees": trees}
        scorers[name] = {**scorer, "fitted": fitted}
    shared = {name: native[name] for name in ("centre", "scale", "tail")}
    return {**shared, "rows": rows, "scorers": scorers}


def _mark_leaves(fitted: Mapping[str, Any], number: int) -> list[np.ndarray]:
    """Return one isolation tree, of which leaves, which are their own children, lead to -1."""
    names = ("feature", "threshold", "left", "right", "length")
    feature, threshold, left, right, length = (np.asarray(fitted[name][number]) for name in names)
    count, own = int(max(left.max(), right.max())) + 1, np.arange(len(left))
    left, right = np.where(left == own, -1, left), np.where(right == own, -1, right)
    return [values[:count] for values in (feature, threshold, left, right, length)]
