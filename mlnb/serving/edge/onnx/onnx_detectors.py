"""Anomaly detectors as ONNX operators: `anomaly_detectors.score_rows`, step by step."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mlnb.methods.models.anomaly_detectors import KNEE, LOG_FLOOR, TINY
from mlnb.methods.models.numpy_models import MAX_Z
from mlnb.serving.edge.lightgbm_text import BoostedTrees, Tree
from mlnb.serving.edge.onnx.onnx_graph import Graph
from mlnb.serving.edge.onnx.onnx_numpy_models import COLUMNS, write_nearest
from mlnb.serving.edge.onnx.onnx_trees import write_trees


def write_detector(graph: Graph, native: Mapping[str, Any], X: str) -> str:
    """Return anomaly scores (n, 1): -log10 of the share of training rows with at least the same score."""
    centre, scale = (np.asarray([native[name]], dtype=np.float64) for name in ("centre", "scale"))
    filled = graph.op("Where", graph.op("IsNaN", X), centre, X)
    Z = graph.op("Clip", graph.op("Div", graph.op("Sub", filled, centre), scale), -MAX_Z, MAX_Z)
    Z = _compress(graph, Z)
    raw = [SCORERS[name](graph, Z, scorer["fitted"]) for name, scorer in native["scorers"].items()]
    combined = raw[0] if len(raw) == 1 else _combine(graph, raw, list(native["scorers"].values()))
    return _tail_score(graph, combined, native["tail"])


def _compress(graph: Graph, Z: str) -> str:
    """Return values (n, d) of which those beyond the knee grow like their fourth root."""
    far = graph.op("Div", Z, KNEE)
    root = graph.op("Sqrt", graph.op("Sqrt", graph.op("Add", graph.op("Mul", far, far), 1.0)))
    return graph.op("Div", Z, graph.op("Mul", root, graph.op("Sqrt", root)))


def _combine(graph: Graph, raw: Sequence[str], scorers: Sequence[Mapping[str, Any]]) -> str:
    """Return the root mean square of what the detectors' scores are above their medians (n, 1)."""
    powers = []
    for scores, scorer in zip(raw, scorers, strict=True):
        logarithm = graph.op("Log", graph.op("Add", scores, LOG_FLOOR))
        above = graph.op("Max", graph.op("Sub", logarithm, float(scorer["middle"])), 0.0)
        square = graph.op("Mul", *[graph.op("Div", above, float(scorer["spread"]))] * 2)
        powers.append(graph.op("Mul", square, float(scorer["weight"])))
    weights = float(sum(scorer["weight"] for scorer in scorers))
    return graph.op("Sqrt", graph.op("Div", graph.op("Sum", *powers), weights))


def _tail_score(graph: Graph, scores: str, tail: Mapping[str, np.ndarray]) -> str:
    x, y = (np.asarray(tail[name], dtype=np.float64).tolist() for name in ("x", "y"))
    if len(x) == 1:
        return graph.double(graph.op("Greater", scores, x[0]))
    within = graph.interpolate(scores, x, y)
    beyond = graph.op("Max", graph.op("Sub", scores, x[-1]), 0.0)
    beyond = graph.op("Div", beyond, max(x[-1] - x[len(x) // 2], TINY))
    return graph.op("Add", within, _log10(graph, graph.op("Add", beyond, 1.0)))


def _log10(graph: Graph, value: str) -> str:
    return graph.op("Div", graph.op("Log", value), math.log(10.0))


def _isolation(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    trees = [_isolation_tree(fitted, number) for number in range(len(fitted["feature"]))]
    total = write_trees(graph, BoostedTrees(1, "identity", 1.0, False, trees), Z)
    return graph.op("Exp", graph.op("Mul", total, -math.log(2.0) / (len(trees) * float(fitted["norm"]))))


def _isolation_tree(fitted: Mapping[str, Any], number: int) -> Tree:
    """Return one tree as LightGBM writes it. A leaf is its own left child, and no node leads to the root."""
    feature, left, right = (np.asarray(fitted[name][number]).astype(np.int64) for name in ("feature", "left", "right"))
    threshold, length = (np.asarray(fitted[name][number], np.float64) for name in ("threshold", "length"))
    is_inner = (left != np.arange(len(left))) & (left != 0)
    inner, leaves = np.flatnonzero(is_inner), np.flatnonzero(~is_inner)
    index = np.empty(len(left), np.int64)
    index[inner], index[leaves] = np.arange(len(inner)), ~np.arange(len(leaves))
    sides = (index[left[inner]], index[right[inner]])
    return Tree(feature[inner], threshold[inner], *sides, np.ones(len(inner), np.bool_), length[leaves])


def _nearest_rows(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> tuple[str, str]:
    """Return distances (n, k) to the nearest training rows that were kept, and the indices of these rows."""
    return write_nearest(graph, Z, np.asarray(fitted["rows"], dtype=np.float64), int(fitted["k"]))


def _mean(graph: Graph, values: str) -> str:
    return graph.op("ReduceMean", values, COLUMNS, keepdims=1)


def _knn_distance(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    return _mean(graph, _nearest_rows(graph, Z, fitted)[0])


def _lof(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    distances, indices = _nearest_rows(graph, Z, fitted)
    density, k_distance = (
        graph.op("Gather", np.asarray(fitted[name], dtype=np.float64), indices) for name in ("lrd", "k_distance")
    )
    reachability = graph.op("Add", _mean(graph, graph.op("Max", distances, k_distance)), TINY)
    return graph.op("Mul", _mean(graph, density), reachability)


def _mahalanobis(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    centre, whitening = (np.asarray(fitted[name], dtype=np.float64) for name in ("centre", "whitening"))
    white = graph.op("MatMul", graph.op("Sub", Z, centre[None]), whitening)
    return graph.op("Sqrt", graph.op("ReduceSum", graph.op("Mul", white, white), COLUMNS, keepdims=1))


def _ecod(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    each = []
    for shares in _tail_shares(graph, Z, fitted):
        rare = graph.op("Mul", graph.op("Min", *shares), 2.0)
        each.append(_log10(graph, graph.op("Min", rare, 1.0)))
    return graph.op("Neg", graph.op("Sum", *each))


def _tail_shares(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> list[list[str]]:
    """Return for each column the shares of training rows at most and at least as large, above 0, each (n, 1)."""
    least, columns = 1.0 / (float(fitted["count"]) + 1.0), []
    for j, column in enumerate(fitted["columns"]):
        value = graph.op("Gather", Z, np.array([j]), axis=1)
        knots = np.asarray(column["x"], dtype=np.float64)[None]
        shares = []
        for compare, heights in (
            ("GreaterOrEqual", np.r_[0.0, column["low"]]),
            ("Greater", np.r_[column["high"], 0.0]),
        ):
            count = graph.op("ReduceSum", graph.double(graph.op(compare, value, knots)), COLUMNS, keepdims=1)
            shares.append(graph.op("Max", graph.op("Gather", heights, graph.integer(count)), least))
        columns.append(shares)
    return columns


def _copod(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    each = []
    for skewed_left, shares in zip(fitted["skewed_left"], _tail_shares(graph, Z, fitted), strict=True):
        low, high = (_log10(graph, share) for share in shares)
        middle = graph.op("Div", graph.op("Add", low, high), 2.0)
        each.append(graph.op("Min", low if skewed_left else high, middle))
    return graph.op("Neg", graph.op("Sum", *each))


def _hbos(graph: Graph, Z: str, fitted: Mapping[str, Any]) -> str:
    each = []
    for j, (edges, rarity) in enumerate(zip(np.asarray(fitted["edges"]), np.asarray(fitted["rarity"]), strict=True)):
        value = graph.op("Gather", Z, np.array([j]), axis=1)
        inside = graph.op(
            "ReduceSum", graph.double(graph.op("GreaterOrEqual", value, edges[None, :-1])), COLUMNS, keepdims=1
        )
        index = graph.op("Add", inside, graph.double(graph.op("Greater", value, float(edges[-1]))))
        each.append(graph.op("Gather", rarity, graph.integer(index)))
    return graph.op("Sum", *each)


SCORERS: dict[str, Callable[[Graph, str, Mapping[str, Any]], str]] = {
    "isolation_forest": _isolation,
    "knn_distance": _knn_distance,
    "lof": _lof,
    "mahalanobis": _mahalanobis,
    "ecod": _ecod,
    "copod": _copod,
    "hbos": _hbos,
}
