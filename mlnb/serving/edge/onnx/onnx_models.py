"""A fitted model and its decision as ONNX operators."""

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.contracts.decisions import Calibration, Decision, Isotonic, Sigmoid, Temperature
from mlnb.methods.decisions.decision_rules import CLIP
from mlnb.methods.models.fitted_models import Model, is_booster
from mlnb.methods.models.skewed_targets import LogTransform
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.edge.exports import describe_native
from mlnb.serving.edge.lightgbm_text import BoostedTrees, read_booster
from mlnb.serving.edge.onnx.onnx_detectors import write_detector
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_numpy_models import FAMILIES, to_both, write_numpy_model
from mlnb.serving.edge.onnx.onnx_trees import write_trees


def write_model(graph: Graph, model: Model, X: str) -> str:
    """Return probabilities (n, k) or values (n, 1). Raises `UsageError` for a model without an ONNX form."""
    native = model.native
    if isinstance(native, dict) and "members" in native:
        terms = [
            graph.op("Mul", write_model(graph, member, X), float(weight))
            for member, weight in zip(native["members"], native["weights"], strict=True)
        ]
        return graph.op("Sum", *terms)
    if isinstance(native, dict) and "inner" in native:
        return _from_log(graph, write_model(graph, native["inner"], X), native["transform"])
    if isinstance(native, dict) and "constant" in native:
        first = graph.op("Mul", graph.double(graph.op("Shape", X, start=0, end=1)), 0.0)
        zeros = graph.op("Expand", graph.op("Reshape", first, np.array([1, 1])), _rows(graph, X))
        return graph.op("Add", zeros, np.atleast_2d(np.asarray(native["constant"], dtype=np.float64)))
    if isinstance(native, dict) and "scorers" in native:
        return write_detector(graph, native, X)
    if is_booster(model):
        return _booster(graph, read_booster(native.model_to_string()), X, model)
    if model.family in FAMILIES:
        return write_numpy_model(graph, model.family, native, X, model.classes)
    raise UsageError(
        f"A model of the family {model.family!r} is {describe_native(native)}, which has no ONNX form: "
        "only the families of mlnb have one. Use mlnb serve, mlnb containerize or mlnb score instead."
    )


def _from_log(graph: Graph, z: str, transform: LogTransform) -> str:
    """Return predictions (n, 1) in the unit of the target from logarithms (n, 1)."""
    inverted = graph.op("Exp", graph.op("Clip", z, transform.low, transform.high))
    return graph.op("Mul", graph.op("Max", graph.op("Sub", inverted, transform.shift), 0.0), transform.smearing)


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
    return to_both(graph, scores) if traits_of(model.task).two_classes else scores


def write_calibration(graph: Graph, p: str, calibration: Calibration | None) -> str:
    """Return calibrated probabilities (n, k)."""
    if calibration is None:
        return p
    if isinstance(calibration, Temperature):
        logs = graph.op("Log", graph.op("Clip", p, CLIP, 1.0))
        return graph.op("Softmax", graph.op("Div", logs, float(calibration.temperature)), axis=1)
    positive = graph.op("Slice", p, np.array([1]), np.array([2]), np.array([1]))
    if isinstance(calibration, Isotonic):
        return to_both(graph, graph.interpolate(positive, calibration.x, calibration.y))
    clipped = graph.op("Clip", positive, CLIP, 1.0 - CLIP)
    b = calibration.a if isinstance(calibration, Sigmoid) else calibration.b
    low = graph.op("Mul", graph.op("Log", clipped), float(calibration.a))
    high = graph.op("Mul", graph.op("Log", graph.op("Sub", 1.0, clipped)), float(b))
    score = graph.op("Add", graph.op("Sub", low, high), float(calibration.c))
    return to_both(graph, graph.op("Div", 1.0, graph.op("Add", graph.op("Exp", graph.op("Neg", score)), 1.0)))


def write_choice(graph: Graph, p: str, decision: Decision, classes: list[str]) -> str:
    """Return the names of the predicted classes (n,)."""
    if decision.threshold is not None:
        positive = graph.op("Gather", p, np.array(1), axis=1)
        index = graph.integer(graph.op("GreaterOrEqual", positive, float(decision.threshold)))
    elif decision.costs is not None:
        expected_costs = graph.op("MatMul", p, np.asarray(decision.costs, dtype=np.float64))
        index = graph.op("ArgMin", expected_costs, axis=1, keepdims=0)
    else:
        index = graph.op("ArgMax", p, axis=1, keepdims=0)
    return graph.op("Gather", graph.constant(np.array(classes)), index)
