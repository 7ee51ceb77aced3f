"""ONNX operators for `mlnb.methods.models.numpy_models` and `mlnb.methods.models.autoregression`."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlnb.methods.models.autoregression import LEVELS, STEP
from mlnb.methods.models.numpy_models import MAX_VALUE, MAX_Z, PRIOR, SMOOTH_CLIP
from mlnb.methods.series.local_forecasts import LOCAL
from mlnb.serving.edge.onnx.onnx_graph import Graph

COLUMNS = np.array([1])  # the axis that is summed


def write_numpy_model(graph: Graph, family: str, native: Mapping[str, Any], X: str, classes: int) -> str:
    """Return probabilities of all classes (n, k), or values (n, 1)."""
    predicted = FAMILIES[family](graph, native, X, classes)
    seen = list(native.get("classes") or range(classes))
    if len(seen) == classes:  # otherwise a class that is absent from the training rows has probability 0
        return predicted
    zero = graph.op("Mul", graph.op("Gather", predicted, np.array([0]), axis=1), 0.0)
    columns = [seen.index(label) if label in seen else len(seen) for label in range(classes)]
    return graph.op("Gather", graph.op("Concat", predicted, zero, axis=1), np.array(columns), axis=1)


def to_both(graph: Graph, positive: str) -> str:
    """Return the probabilities (n, 2) of both classes from those of the second (n, 1)."""
    return graph.op("Concat", graph.op("Sub", 1.0, positive), positive, axis=1)


def _probabilities(graph: Graph, scores: str, outputs: int) -> str:
    if outputs > 1:
        return graph.op("Softmax", scores, axis=1)
    return to_both(graph, graph.op("Div", 1.0, graph.op("Add", graph.op("Exp", graph.op("Neg", scores)), 1.0)))


def _impute(graph: Graph, native: Mapping[str, Any], X: str) -> str:
    """Return rows (n, d) without missing values."""
    return graph.op("Where", graph.op("IsNaN", X), np.asarray([native["fill"]], dtype=np.float64), X)


def _scale(graph: Graph, native: Mapping[str, Any], X: str) -> str:
    """Return rows (n, d) filled, mapped by quantiles where they were learned, and standardized."""
    mean, scale = (np.asarray([native[name]], dtype=np.float64) for name in ("mean", "scale"))
    filled = _impute(graph, native, X)
    if "knots" in native:
        clipped = graph.op("Clip", filled, -MAX_VALUE, MAX_VALUE)
        mapped = [
            _map_quantiles(graph, clipped, j, *lines) for j, lines in enumerate(zip(*native["knots"], strict=True))
        ]
        filled = graph.op("Concat", *mapped, axis=1)
    return graph.op("Clip", graph.op("Div", graph.op("Sub", filled, mean), scale), -MAX_Z, MAX_Z)


def _encode_bins(graph: Graph, native: Mapping[str, Any], X: str) -> str:
    """Return the piecewise linear encoding of rows (n, m)."""
    starts, widths = (np.asarray([native[name]], dtype=np.float64) for name in ("bin_starts", "bin_widths"))
    filled = graph.op("Clip", _impute(graph, native, X), -MAX_VALUE, MAX_VALUE)
    picked = graph.op("Gather", filled, np.asarray(native["bin_columns"]).astype(np.int64), axis=1)
    return graph.op("Clip", graph.op("Div", graph.op("Sub", picked, starts), widths), 0.0, 1.0)


def _map_quantiles(graph: Graph, X: str, column: int, knots: np.ndarray, heights: np.ndarray) -> str:
    """Return one column (n, 1) interpolated linearly between its knots; equal knots have equal heights."""
    x, first = np.unique(np.asarray(knots, dtype=np.float64), return_index=True)
    y = np.asarray(heights, dtype=np.float64)[first]
    return graph.interpolate(graph.op("Gather", X, np.array([column]), axis=1), x.tolist(), y.tolist())


def _clip_smoothly(graph: Graph, Z: str) -> str:
    far = graph.op("Div", Z, SMOOTH_CLIP)
    return graph.op("Div", Z, graph.op("Sqrt", graph.op("Add", graph.op("Mul", far, far), 1.0)))


def _linear(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    return _combine(graph, _scale(graph, native, X), native["coefficients"], native["intercepts"], classes)


def _combine(graph: Graph, inputs: str, coefficients: Any, intercepts: Any, classes: int) -> str:
    """Return the prediction of a linear model with coefficients (outputs, m) of inputs (n, m)."""
    weights = np.asarray(coefficients, dtype=np.float64).T
    scores = graph.op("MatMul", inputs, weights)
    scores = graph.op("Add", scores, np.asarray([intercepts], dtype=np.float64))
    return _probabilities(graph, scores, weights.shape[1]) if classes else scores


def _mlp(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    Z, predicted = _clip_smoothly(graph, _scale(graph, native, X)), []
    if "bin_columns" in native:
        Z = graph.op("Concat", Z, _encode_bins(graph, native, X), axis=1)
    for arrays in native["layers"]:
        hidden, depth = Z, len(arrays) // 2
        for layer in range(depth):
            hidden = graph.op("Add", graph.op("MatMul", hidden, arrays[layer]), arrays[depth + layer][None])
            hidden = graph.op("Max", hidden, 0.0) if layer < depth - 1 else hidden
        predicted.append(_probabilities(graph, hidden, arrays[depth - 1].shape[1]) if classes else hidden)
    mean = graph.op("Div", graph.op("Sum", *predicted), float(len(predicted)))
    if classes:
        return mean
    return graph.op("Add", graph.op("Mul", mean, float(native["spread"])), float(native["middle"]))


def write_nearest(graph: Graph, Z: str, retained: np.ndarray, count: int) -> tuple[str, str]:
    """Return distances (n, k) to the nearest of the retained rows (m, d), ascending, and the indices of these rows."""
    smallest, indices = graph.smallest(_squared_distances(graph, Z, retained), count)
    return graph.op("Sqrt", smallest), indices


def _squared_distances(graph: Graph, Z: str, rows: np.ndarray) -> str:
    """Return squared Euclidean distances (n, m) to rows (m, d)."""
    squares = ""
    for j in range(rows.shape[1]):
        away = graph.op("Sub", graph.op("Gather", Z, np.array([j]), axis=1), rows[None, :, j])
        square = graph.op("Mul", away, away)
        squares = graph.op("Add", squares, square) if squares else square
    return squares


def _knn(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    rows, targets, weights = (np.asarray(native[name], dtype=np.float64) for name in ("rows", "targets", "weights"))
    count, prior = min(native["n_neighbors"], len(rows)), PRIOR if classes else 0.0
    distances, near = write_nearest(graph, _clip_smoothly(graph, _scale(graph, native, X)), rows, count)
    distance = graph.op("Add", distances, 1e-9)
    least = graph.op("Gather", distance, np.array([0]), axis=1)
    pull = graph.op("Pow", graph.op("Div", least, distance), float(native["power"]))
    pull = graph.op("Mul", pull, graph.op("Gather", weights, near))
    mass = graph.op("Add", graph.op("ReduceSum", pull, COLUMNS, keepdims=1), prior)
    shares = (weights[:, None] * targets).sum(axis=0) / weights.sum()
    out = []
    for j in range(targets.shape[1]):
        total = graph.op(
            "ReduceSum", graph.op("Mul", pull, graph.op("Gather", targets[:, j], near)), COLUMNS, keepdims=1
        )
        mean = graph.op("Div", graph.op("Add", total, prior * shares[j]), mass)
        out.append(graph.op("Where", graph.op("Greater", mass, 0.0), mean, shares[j]))
    return graph.op("Concat", *out, axis=1)


def _rbf_kernel(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    landmarks = np.asarray(native["landmarks"], dtype=np.float64)
    squares = _squared_distances(graph, _clip_smoothly(graph, _scale(graph, native, X)), landmarks)
    similarities = graph.op("Exp", graph.op("Mul", squares, -float(native["gamma"])))
    return _combine(graph, similarities, native["dual_coefficients"], native["intercepts"], classes)


def _fill_zero(graph: Graph, X: str, columns: list[int]) -> str:
    """Return some columns with 0 for missing values."""
    picked = graph.op("Gather", X, np.array(columns), axis=1)
    return graph.op("Where", graph.op("IsNaN", picked), 0.0, picked)


def _column(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    return _fill_zero(graph, X, [int(native["column"])])


def _mean_level(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    weights = np.asarray([native["level_weights"][1:]], dtype=np.float64)  # the last cycle's level is 0
    # No MatMul: ONNX Runtime rounds a factor that follows one, such as an ensemble's weight, to 32 bits.
    terms = graph.op("Mul", _fill_zero(graph, X, [*range(LEVELS.start, LEVELS.stop)]), weights)
    return graph.op("ReduceSum", terms, COLUMNS, keepdims=1)


def _autoregression(graph: Graph, native: Mapping[str, Any], X: str, classes: int) -> str:
    steps, slopes, starts = (np.asarray(native[name], dtype=np.float64) for name in ("steps", "slopes", "starts"))
    step = graph.op("Gather", X, np.array([STEP]), axis=1)
    before = graph.op("ReduceSum", graph.double(graph.op("Greater", step, steps[None])), COLUMNS, keepdims=0)
    index = graph.integer(graph.op("Clip", before, 0.0, float(len(steps) - 1)))
    terms = graph.op("Mul", _scale(graph, native, X), graph.op("Gather", slopes, index, axis=0))
    total = graph.op("ReduceSum", terms, COLUMNS, keepdims=1)
    return graph.op("Add", total, graph.op("Gather", starts[:, None], index, axis=0))


FAMILIES: dict[str, Callable[[Graph, Mapping[str, Any], str, int], str]] = {
    "linear": _linear,
    "mlp": _mlp,
    "knn": _knn,
    "rbf_kernel": _rbf_kernel,
    "mean_level": _mean_level,
    "autoregression": _autoregression,
    **dict.fromkeys(("seasonal_naive", *LOCAL), _column),
}
