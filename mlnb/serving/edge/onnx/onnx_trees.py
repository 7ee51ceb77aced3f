"""Trees as one operator of ONNX."""

from typing import Any

import numpy as np

from mlnb.serving.edge.lightgbm_text import BoostedTrees, Tree
from mlnb.serving.edge.onnx.onnx_graph import ML, Graph

LEQ = 0  # mode of a node that goes to its true branch when the value is at most the threshold


def write_trees(graph: Graph, boosted: BoostedTrees, X: str) -> str:
    """Return raw scores (n, outputs) by one operator for all trees."""
    lists: dict[str, list[Any]] = {name: [] for name in ("feature", "split", "nan", "yes", "yes_leaf", "no", "no_leaf")}
    roots: list[int] = []
    target: list[int] = []
    weight: list[float] = []
    for number, tree in enumerate(boosted.trees):
        if not len(tree.feature):  # a single leaf, which the operator can only say as a split that does not matter
            zero, same = np.zeros(1, np.int64), np.full(1, -1)
            tree = Tree(zero, np.zeros(1), same, same, np.ones(1, np.bool_), tree.value)
        start, leaves = len(lists["feature"]), len(weight)
        roots.append(start)
        lists["feature"] += tree.feature.tolist()
        lists["split"] += tree.threshold.tolist()
        lists["nan"] += map(int, tree.nan_left.tolist())
        for side, children in (("yes", tree.left.tolist()), ("no", tree.right.tolist())):
            lists[side] += [leaves + ~child if child < 0 else start + child for child in children]
            lists[f"{side}_leaf"] += [int(child < 0) for child in children]
        target += [number % boosted.outputs] * len(tree.value)
        weight += tree.value.tolist()
    attributes: dict[str, Any] = {
        "n_targets": boosted.outputs,
        "aggregate_function": 1,  # sum
        "post_transform": 0,
        "tree_roots": roots,
        "nodes_featureids": lists["feature"],
        "nodes_missing_value_tracks_true": lists["nan"],
        "nodes_truenodeids": lists["yes"],
        "nodes_trueleafs": lists["yes_leaf"],
        "nodes_falsenodeids": lists["no"],
        "nodes_falseleafs": lists["no_leaf"],
        "leaf_targetids": target,
    }
    tensors = {"nodes_splits": lists["split"], "leaf_weights": weight}
    return graph.op("TreeEnsemble", X, domain=ML, **attributes, **graph.tensors(tensors, len(lists["feature"]), LEQ))
