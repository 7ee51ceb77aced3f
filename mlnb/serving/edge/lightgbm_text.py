"""LightGBM's text as it is written: the objective, and the trees as plain arrays."""

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
    """One tree: m inner nodes, the first of which is the root, and leaves as negative children: -1 is leaf 0."""

    feature: np.ndarray  # (m,) int64
    threshold: np.ndarray  # (m,) float64; a value goes left that is at most this
    left: np.ndarray  # (m,) int64
    right: np.ndarray  # (m,) int64
    nan_left: np.ndarray  # (m,) bool: whether a missing value goes left
    value: np.ndarray  # (m + 1,) float64: of each leaf


@dataclass(frozen=True)
class BoostedTrees:
    """A booster: the raw score of output j is the sum of trees j, j + outputs, ..."""

    outputs: int
    link: str  # identity, exp, sigmoid or softmax
    slope: float  # of the sigmoid
    mean: bool  # whether scores are divided by the number of rounds
    trees: list[Tree]


def read_booster(text: str) -> BoostedTrees:
    """Return the booster of a text; raises `UsageError` for what has no form elsewhere."""
    head, *blocks = text.split("\nTree=")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    name, *settings = facts.get("objective", "").split(" ")
    known = dict(setting.partition(":")[::2] for setting in settings)
    if name not in {*IDENTITY, *EXPONENTIAL, *SIGMOID, "multiclass"} or "sqrt" in known:
        raise UsageError(f"LightGBM's objective {facts['objective']!r} cannot be exported; expected a common one.")
    link = "identity" if name in IDENTITY else "exp" if name in EXPONENTIAL else "sigmoid"
    outputs = int(facts["num_tree_per_iteration"])
    slope = float(known.get("sigmoid", 1.0))
    each = [dict(line.partition("=")[::2] for line in block.splitlines()[1:]) for block in blocks]
    trees = _read_trees(each)
    return BoostedTrees(outputs, "softmax" if name == "multiclass" else link, slope, "average_output" in facts, trees)


def _read_trees(each: list[dict[str, str]]) -> list[Tree]:
    """Return the trees; the numbers of all of them are read together, which is fast."""
    if any(facts.get("num_cat", "0") != "0" or facts.get("is_linear", "0") != "0" for facts in each):
        raise UsageError("Trees that split on categories or hold linear models cannot be exported.")
    read = {name: _read_numbers([facts.get(name, "") for facts in each], kind) for name, kind in KINDS.items()}
    missing = read["decision_type"] >> 2 & 3
    if (missing == ZERO).any():
        raise UsageError("Trees that take zero as missing cannot be exported; train without zero_as_missing.")
    to_left = read["decision_type"] & DEFAULT_LEFT != 0
    nan_left = np.where(missing == NAN, to_left, read["threshold"] >= 0.0)  # else NaN is read as 0
    names = ("split_feature", "threshold", "left_child", "right_child")
    leaves = np.array([int(facts["num_leaves"]) for facts in each], np.int64)
    nodes = np.cumsum(leaves - 1)[:-1]
    parts = [np.split(values, nodes) for values in (*(read[name] for name in names), nan_left)]
    values = np.split(read["leaf_value"], np.cumsum(leaves)[:-1])
    return [Tree(*arrays) for arrays in zip(*parts, values, strict=True)] if each else []


def _read_numbers(texts: list[str], kind: type) -> np.ndarray:
    """Return the numbers in texts, which blanks stand between."""
    lines = "\n".join(filter(None, texts)).replace(" ", "\n").encode()
    if not lines:
        return np.empty(0, kind)
    read = pc.ReadOptions(column_names=["number"], use_threads=False, block_size=len(lines) + 1)
    convert = pc.ConvertOptions(column_types={"number": pa.from_numpy_dtype(kind)}, null_values=[])
    numbers: np.ndarray = pc.read_csv(pa.BufferReader(lines), read, None, convert)["number"].to_numpy()
    return numbers
