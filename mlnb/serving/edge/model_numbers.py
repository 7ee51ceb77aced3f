"""Fitted models as plain lists: what `portable/families.py` and `portable/detectors.py` read."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.models.autoregression import FORECASTERS
from mlnb.methods.models.fitted_models import SMOOTH, Model


def write_member(model: Model) -> dict[str, Any]:
    """Return a model that is numbers, and the file that reads it; `UsageError` for a family of one's own."""
    native, about = model.native, {"family": model.family, "classes": model.classes}
    if isinstance(native, dict) and "constant" in native:
        return about | {"family": "constant", "code": "families.py", "numbers": _plain(native)}
    if isinstance(native, dict) and "scorers" in native:
        return about | {"code": "detectors.py", "numbers": _plain(_detector(native))}
    if model.family == "network":
        native = native | {"networks": [_network(arrays) for arrays in native["layers"]], "layers": None}
    elif model.family == "neighbours":
        heavy, known = native["weights"], native["known"]
        native = native | {"shares": (heavy[:, None] * known).sum(axis=0) / heavy.sum()}
    elif model.family not in (*SMOOTH, *FORECASTERS):
        raise UsageError(
            f"A model of the family {model.family!r} is a pickle of {type(native).__name__}, which Python alone cannot "
            "read: text is for the families of this project. It ships as mlnb serve, mlnb containerize, mlnb score."
        )
    return about | {"code": "families.py", "numbers": _plain(native)}


def _plain(value: Any) -> Any:
    """A value with its arrays as lists; what is None is left out."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _network(arrays: list[np.ndarray]) -> list[Any]:
    """Each layer's weights, output by output, and its starts."""
    depth = len(arrays) // 2
    return [[weights.T for weights in arrays[:depth]], arrays[depth:]]


def _detector(native: Mapping[str, Any]) -> dict[str, Any]:
    """The detector with its training rows once, and with trees whose leaves lead to -1."""
    scorers: dict[str, Any] = {}
    rows = None
    for name, scorer in native["scorers"].items():
        fitted = dict(scorer["fitted"])
        if name in ("nearest", "density"):
            rows = fitted.pop("rows")
        elif name == "isolation_forest":
            fitted = {"norm": fitted["norm"], "trees": [_tree(fitted, at) for at in range(len(fitted["feature"]))]}
        scorers[name] = {"fitted": fitted, "tail": scorer["tail"]}
    return {"centre": native["centre"], "scale": native["scale"], "tail": native["tail"], "rows": rows} | {
        "scorers": scorers
    }


def _tree(fitted: Mapping[str, Any], number: int) -> list[np.ndarray]:
    names = ("feature", "threshold", "left", "right", "length")
    feature, threshold, left, right, length = (np.asarray(fitted[name][number]) for name in names)
    count, here = int(max(left.max(), right.max())) + 1, np.arange(len(left))
    left, right = np.where(left == here, -1, left), np.where(right == here, -1, right)
    return [values[:count] for values in (feature, threshold, left, right, length)]
