"""Numbers as ranks among the thresholds that trees compare them with: small integers that compare the same."""

from dataclasses import dataclass

import numpy as np

from mlnb.serving.edge.lightgbm_text import BoostedTrees

MAX_THRESHOLDS = 2**16 - 2  # in a segment: ranks 0 to this many, and one more for missing values that go right

Segment = tuple[int, int]  # a feature, and the number of a segment of its thresholds: few features have two


@dataclass(frozen=True)
class Ranks:
    """The sorted thresholds of a booster, and for each of its nodes, tree after tree, what it compares.

    A value goes left when at most `rank` thresholds of the node's segment are less than it. A feature with more than
    `MAX_THRESHOLDS` thresholds has several segments, each of which is a column of ranks: a value beyond a segment has
    its first or last rank.

    Args:
        thresholds: ascending, by segment.
        columns: number of the column of ranks, by segment and by whether a missing value goes left.
        column: the column that each node compares (nodes,) int64.
        rank: the highest rank that goes left, of each node (nodes,) int64.
    """

    thresholds: dict[Segment, np.ndarray]
    columns: dict[tuple[Segment, bool], int]
    column: np.ndarray
    rank: np.ndarray


def rank_nodes(boosted: BoostedTrees) -> Ranks:
    """Return the ranks of a booster's thresholds."""
    feature, threshold, nan_left = (
        np.concatenate([np.empty(0, kind), *(getattr(tree, name) for tree in boosted.trees)])
        for name, kind in (("feature", np.int64), ("threshold", np.float64), ("nan_left", np.bool_))
    )
    segment, rank = np.empty(len(feature), np.int64), np.empty(len(feature), np.int64)
    thresholds: dict[Segment, np.ndarray] = {}
    order = np.argsort(feature, kind="stable")
    for nodes in np.split(order, np.flatnonzero(np.diff(feature[order])) + 1) if len(order) else []:
        ordered, index = np.unique(threshold[nodes], return_inverse=True)
        segment[nodes], rank[nodes] = np.divmod(index, MAX_THRESHOLDS)
        for start in range(0, len(ordered), MAX_THRESHOLDS):
            key = (int(feature[nodes[0]]), start // MAX_THRESHOLDS)
            thresholds[key] = ordered[start : start + MAX_THRESHOLDS]
    segments = int(segment.max(initial=0)) + 1
    keys, column = np.unique((feature * segments + segment) * 2 + nan_left, return_inverse=True)
    columns = {(divmod(key // 2, segments), bool(key % 2)): number for number, key in enumerate(keys.tolist())}
    return Ranks(thresholds, columns, column, rank)
