"""LightGBM's text as it is written: the objective, and the trees as plain lists."""

from dataclasses import dataclass
from typing import Any

from mlnb.errors import UsageError

IDENTITY = {"regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", ""}
EXPONENTIAL = {"poisson", "gamma", "tweedie"}
SIGMOID = {"binary", "cross_entropy"}
CATEGORICAL, DEFAULT_LEFT, ZERO, NAN = 1, 2, 1, 2  # bits 0 and 1 of a decision's type; kinds of missing in bits 2, 3


@dataclass(frozen=True)
class Tree:
    """One tree: inner nodes in lists, leaves as negative children: -1 is leaf 0."""

    feature: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    nan_left: list[bool]  # whether a missing value goes left
    value: list[float]  # of each leaf


@dataclass(frozen=True)
class Boosted:
    """A booster: the raw score of output j is the sum of trees j, j + outputs, ..."""

    outputs: int
    link: str  # identity, exp, sigmoid or softmax
    slope: float  # of the sigmoid
    mean: bool  # whether scores are divided by the number of rounds
    trees: list[Tree]


def read_booster(text: str) -> Boosted:
    """Return the booster of a text; raises `UsageError` for what has no form elsewhere."""
    head, *blocks = text.split("\nTree=")
    facts = dict(line.partition("=")[::2] for line in head.splitlines())
    name, *settings = facts.get("objective", "").split(" ")
    known = dict(setting.partition(":")[::2] for setting in settings)
    if name not in {*IDENTITY, *EXPONENTIAL, *SIGMOID, "multiclass"} or "sqrt" in known:
        raise UsageError(f"LightGBM's objective {facts['objective']!r} cannot be exported; expected a common one.")
    link = "identity" if name in IDENTITY else "exp" if name in EXPONENTIAL else "sigmoid"
    trees = [_read_tree(dict(line.partition("=")[::2] for line in block.splitlines()[1:])) for block in blocks]
    outputs = int(facts["num_tree_per_iteration"])
    slope = float(known.get("sigmoid", 1.0))
    return Boosted(outputs, "softmax" if name == "multiclass" else link, slope, "average_output" in facts, trees)


def _read_tree(facts: dict[str, str]) -> Tree:
    if facts.get("num_cat", "0") != "0" or facts.get("is_linear", "0") != "0":
        raise UsageError("Trees that split on categories or hold linear models cannot be exported.")

    def read(name: str, kind: Any) -> list[Any]:
        return [kind(text) for text in facts.get(name, "").split()]

    threshold, nan_left = read("threshold", float), []
    for kind, value in zip(read("decision_type", int), threshold, strict=True):
        missing = kind >> 2 & 3
        if missing == ZERO:
            raise UsageError("Trees that take zero as missing cannot be exported; train without zero_as_missing.")
        nan_left.append(bool(kind & DEFAULT_LEFT) if missing == NAN else value >= 0.0)  # else NaN is read as 0
    lists = (read(name, int) for name in ("split_feature", "left_child", "right_child"))
    feature, left, right = lists
    return Tree(feature, threshold, left, right, nan_left, read("leaf_value", float))
