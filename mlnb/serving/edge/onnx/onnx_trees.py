"""Trees as one ONNX operator."""

from dataclasses import dataclass, field

import numpy as np

from mlnb.serving.edge.lightgbm_text import BoostedTrees, Tree
from mlnb.serving.edge.onnx.onnx_graph import ML, Graph

LEQ = 0  # mode of a node that goes to its true branch when the value is at most the threshold


@dataclass
class _Branches:
    """One side of all inner nodes: the number of the child, and whether it is a leaf."""

    children: list[int] = field(default_factory=list)
    are_leaves: list[int] = field(default_factory=list)

    def add(self, children: list[int], first_node: int, first_leaf: int) -> None:
        """Add a tree's children, leaves as negative numbers."""
        self.children += [first_leaf + ~child if child < 0 else first_node + child for child in children]
        self.are_leaves += [int(child < 0) for child in children]


def write_trees(graph: Graph, boosted: BoostedTrees, X: str) -> str:
    """Return raw scores (n, outputs) of all trees by one operator."""
    features, missing, roots, targets = (list[int]() for _ in range(4))
    splits, weights = list[float](), list[float]()
    yes, no = _Branches(), _Branches()
    for number, tree in enumerate(boosted.trees):
        if not len(tree.feature):  # the operator has no single leaves: a split that does not matter stands for one
            zero, same = np.zeros(1, np.int64), np.full(1, -1)
            tree = Tree(zero, np.zeros(1), same, same, np.ones(1, np.bool_), tree.value)
        roots.append(len(features))
        yes.add(tree.left.tolist(), len(features), len(weights))
        no.add(tree.right.tolist(), len(features), len(weights))
        features += tree.feature.tolist()
        splits += tree.threshold.tolist()
        missing += map(int, tree.nan_left.tolist())
        targets += [number % boosted.outputs] * len(tree.value)
        weights += tree.value.tolist()
    tensors = graph.tensors({"nodes_splits": splits, "leaf_weights": weights}, len(features), LEQ)
    return graph.op(
        "TreeEnsemble",
        X,
        domain=ML,
        n_targets=boosted.outputs,
        aggregate_function=1,  # sum
        post_transform=0,
        tree_roots=roots,
        nodes_featureids=features,
        nodes_missing_value_tracks_true=missing,
        nodes_truenodeids=yes.children,
        nodes_trueleafs=yes.are_leaves,
        nodes_falsenodeids=no.children,
        nodes_falseleafs=no.are_leaves,
        leaf_targetids=targets,
        **tensors,
    )
