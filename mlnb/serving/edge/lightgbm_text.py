"""Reads LightGBM's text format: the objective, and the trees as plain arrays."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from mlnb.errors import UsageError

IDENTITY = {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", ""}
EXPONENTIAL = {"poisson", "gamma", "tweedie"}
SIGMOID = {"binary", "cross_entropy"}
DEFAULT_LEFT, ZERO, NAN = 2, 1, 2  # bit 1 of a decision's type; kinds of missing in bits 2, 3
KINDS = {
    "split_feature": np.int64,
    "threshold": np.float64,
    "decision_type": np.int64,
    "left_child": np.int64,
    "right_child": np.int64,
    "leaf_value": np.float64,
}


@dataclass(frozen=True)
class Tree:
    """One tree of m inner nodes, the first of which is the root; leaves are negative children: -1 is leaf 0.

    Args:
        feature: of each inner node (m,) int64.
        threshold: a value of at most this goes left (m,) float64.
        left, right: children (m,) int64.
        nan_left: whether a missing value goes left (m,) bool.
        value: of each leaf (m + 1,) float64.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    nan_left: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class BoostedTrees:
    """The trees of a booster: the raw score of output j is the sum of trees j, j + outputs, ...

    Args:
        outputs: trees of a round.
        link: "identity", "exp", "sigmoid" or "softmax".
        slope: of the sigmoid.
        mean: whether scores are divided by the number of rounds.
        trees: round after round.
    """

    outputs: int
    link: str
    slope: float
    mean: bool
    trees: list[Tree]


def read_booster(text: str) -> BoostedTrees:
    """Return the trees of a model text. Raises `UsageError` for objectives and splits that are not supported."""
    head, *blocks = text.split("\nTree=")
    header = dict(line.partition("=")[::2] for line in head.splitlines())
    name, *settings = header.get("objective", "").split(" ")
    parameters = dict(setting.partition(":")[::2] for setting in settings)
    if name not in {*IDENTITY, *EXPONENTIAL, *SIGMOID, "multiclass"} or "sqrt" in parameters:
        raise UsageError(f"LightGBM's objective {header['objective']!r} cannot be exported; expected a common one.")
    link = "identity" if name in IDENTITY else "exp" if name in EXPONENTIAL else "sigmoid"
    outputs = int(header["num_tree_per_iteration"])
    slope = float(parameters.get("sigmoid", 1.0))
    each = [dict(line.partition("=")[::2] for line in block.splitlines()[1:]) for block in blocks]
    trees = _read_trees(each)
    return BoostedTrees(outputs, "softmax" if name == "multiclass" else link, slope, "average_output" in header, trees)


def _read_trees(each: list[dict[str, str]]) -> list[Tree]:
    """Return the trees; the numbers of all trees are parsed in one call, which is fast."""
    if any(fields.get("num_cat", "0") != "0" or fields.get("is_linear", "0") != "0" for fields in each):
        raise UsageError("Trees that split on categories or hold linear models cannot be exported.")
    read = {name: _read_numbers([fields.get(name, "") for fields in each], kind) for name, kind in KINDS.items()}
    missing = read["decision_type"] >> 2 & 3
    if (missing == ZERO).any():
        raise UsageError("Trees that take zero as missing cannot be exported; train without zero_as_missing.")
    to_left = read["decision_type"] & DEFAULT_LEFT != 0
    nan_left = np.where(missing == NAN, to_left, read["threshold"] >= 0.0)  # else NaN is read as 0
    names = ("split_feature", "threshold", "left_child", "right_child")
    leaves = np.array([int(fields["num_leaves"]) for fields in each], np.int64)
    nodes = np.cumsum(leaves - 1)[:-1]
    parts = [np.split(values, nodes) for values in (*(read[name] for name in names), nan_left)]
    values = np.split(read["leaf_value"], np.cumsum(leaves)[:-1])
    return [Tree(*arrays) for arrays in zip(*parts, values, strict=True)] if each else []


def _read_numbers(texts: list[str], kind: type) -> np.ndarray:
    """Return the numbers in texts that are separated by blanks."""
    lines = "\n".join(filter(None, texts)).replace(" ", "\n").encode()
    if not lines:
        return np.empty(0, kind)
    read = pc.ReadOptions(column_names=["number"], use_threads=False, block_size=len(lines) + 1)
    convert = pc.ConvertOptions(column_types={"number": pa.from_numpy_dtype(kind)}, null_values=[])
    numbers: np.ndarray = pc.read_csv(pa.BufferReader(lines), read, None, convert)["number"].to_numpy()
    return numbers
