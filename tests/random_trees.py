"""Random trees, and a reference that evaluates them row by row."""

import numpy as np

from mlnb.serving.edge.lightgbm_text import BoostedTrees, Tree


def make_tree(rng: np.random.Generator, features: int, leaves: int, deep: bool) -> Tree:
    """Return a tree with random splits: a chain, or grown at random leaves."""
    left, right, ends = [], [], [None]  # of each leaf: the node above it, and the side
    for node in range(leaves - 1):
        parent = ends.pop(-1 if deep else int(rng.integers(len(ends))))
        if parent is not None:
            parent[0][parent[1]] = node
        left.append(None)
        right.append(None)
        ends += [(left, node), (right, node)]
    for leaf, parent in enumerate(ends if leaves > 1 else []):
        parent[0][parent[1]] = ~leaf
    nodes = leaves - 1
    threshold = rng.choice(np.r_[rng.normal(size=max(nodes, 1)), 0.0, -0.0], nodes)
    feature, nan_left = rng.integers(0, features, nodes), rng.random(nodes) < 0.5
    sides = (np.array(side, np.int64) for side in (left, right))
    return Tree(feature, threshold, *sides, nan_left, rng.normal(size=leaves))


def score_row_by_row(boosted: BoostedTrees, X: np.ndarray) -> np.ndarray:
    """Return raw scores (n, outputs)."""
    scores = np.zeros((len(X), boosted.outputs))
    for number, tree in enumerate(boosted.trees):
        for row, x in enumerate(X):
            node = 0 if len(tree.feature) else -1
            while node >= 0:
                value = x[tree.feature[node]]
                left = tree.nan_left[node] if np.isnan(value) else value <= tree.threshold[node]
                node = tree.left[node] if left else tree.right[node]
            scores[row, number % boosted.outputs] += tree.value[~node]
    return scores
