"""A fitted model and its decision as operators of ONNX."""

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.contracts.decisions import Beta, Calibration, Decision, Isotonic, Temperature
from mlnb.methods.decisions.decisions import CLIP
from mlnb.methods.models.fitted_models import Model, is_booster
from mlnb.serving.edge.lightgbm_text import BoostedTrees, read_booster
from mlnb.serving.edge.onnx.onnx_detectors import write_detector
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_numpy_models import FAMILIES, to_both, write_smooth
from mlnb.serving.edge.onnx.onnx_trees import write_trees


def write_model(graph: Graph, model: Model, X: str) -> str:
    """Return probabilities (n, k) or values (n, 1); raises `UsageError` for a model that ONNX has no form for here."""
    native = model.native
    if isinstance(native, dict) and "members" in native:
        parts = [
            graph.op("Mul", write_model(graph, member, X), float(weight))
            for member, weight in zip(native["members"], native["weights"], strict=True)
        ]
        return graph.op("Sum", *parts)
    if isinstance(native, dict) and "constant" in native:
        first = graph.op("Mul", graph.double(graph.op("Shape", X, start=0, end=1)), 0.0)
        zeros = graph.op("Expand", graph.op("Reshape", first, np.array([1, 1])), _rows(graph, X))
        return graph.op("Add", zeros, np.atleast_2d(np.asarray(native["constant"], dtype=np.float64)))
    if isinstance(native, dict) and "scorers" in native:
        return write_detector(graph, native, X)
    if is_booster(model):
        return _booster(graph, read_booster(native.model_to_string()), X, model)
    if model.family in FAMILIES:
        return write_smooth(graph, model.family, native, X, model.classes)
    raise UsageError(
        f"A model of the family {model.family!r} is a pickle of {type(native).__name__}, which has no ONNX form here: "
        "it is for the families of this project. It ships as mlnb serve, mlnb containerize, mlnb score."
    )


def _rows(graph: Graph, X: str) -> str:
    """Return the shape (n, 1)."""
    return graph.op("Concat", graph.op("Shape", X, start=0, end=1), np.array([1]), axis=0)


def _booster(graph: Graph, boosted: BoostedTrees, X: str, model: Model) -> str:
    scores = write_trees(graph, boosted, X)
    if boosted.mean:
        scores = graph.op("Div", scores, float(len(boosted.trees) // boosted.outputs))
    if boosted.link == "exp":
        scores = graph.op("Exp", scores)
    if boosted.link == "softmax":
        return graph.op("Softmax", scores, axis=1)
    if boosted.link == "sigmoid":
        steep = graph.op("Mul", scores, -boosted.slope)
        scores = graph.op("Div", 1.0, graph.op("Add", graph.op("Exp", steep), 1.0))
    return to_both(graph, scores) if model.task == "binary" else scores


def write_calibration(graph: Graph, p: str, map_: Calibration | None) -> str:
    """Return calibrated probabilities (n, k)."""
    if map_ is None:
        return p
    if isinstance(map_, Temperature):
        powers = graph.op("Div", graph.op("Log", graph.op("Clip", p, CLIP, 1.0)), float(map_.temperature))
        return graph.op("Softmax", powers, axis=1)
    positive = graph.op("Slice", p, np.array([1]), np.array([2]), np.array([1]))
    if isinstance(map_, Isotonic):
        return to_both(graph, graph.interpolate(positive, map_.x, map_.y))
    clipped = graph.op("Clip", positive, CLIP, 1.0 - CLIP)
    a, b = map_.a, map_.b if isinstance(map_, Beta) else map_.a
    low = graph.op("Mul", graph.op("Log", clipped), float(a))
    high = graph.op("Mul", graph.op("Log", graph.op("Sub", 1.0, clipped)), float(b))
    score = graph.op("Add", graph.op("Sub", low, high), float(map_.c))
    return to_both(graph, graph.op("Div", 1.0, graph.op("Add", graph.op("Exp", graph.op("Neg", score)), 1.0)))


def write_choice(graph: Graph, p: str, decision: Decision, classes: list[str]) -> str:
    """Return the names (n,) of the classes that are said."""
    if decision.threshold is not None:
        positive = graph.op("Gather", p, np.array(1), axis=1)
        place = graph.whole(graph.op("GreaterOrEqual", positive, float(decision.threshold)))
    elif decision.costs is not None:
        place = graph.op(
            "ArgMin", graph.op("MatMul", p, np.asarray(decision.costs, dtype=np.float64)), axis=1, keepdims=0
        )
    else:
        place = graph.op("ArgMax", p, axis=1, keepdims=0)
    return graph.op("Gather", graph.number(np.array(classes)), place)
