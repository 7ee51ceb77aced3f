"""Ranks compare as the numbers and thresholds that they stand for."""

import numpy as np
from random_trees import make_tree

from mlnb.serving.batch.compiled import threshold_ranks
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.edge.lightgbm_text import BoostedTrees


def boost(trees, leaves=20):
    rng = np.random.default_rng(0)
    return BoostedTrees(1, "identity", 1.0, False, [make_tree(rng, 3, leaves, False) for _ in range(trees)])


def test_ranks_compare_as_numbers_do():
    boosted = boost(4)
    ranks = rank_nodes(boosted)
    feature, threshold = (
        np.concatenate([getattr(tree, name) for tree in boosted.trees]) for name in ("feature", "threshold")
    )
    numbers = np.r_[np.random.default_rng(1).normal(size=50), threshold]
    for node, (number_of_feature, limit) in enumerate(zip(feature.tolist(), threshold.tolist(), strict=True)):
        below = np.searchsorted(ranks.thresholds[number_of_feature, 0], numbers)
        assert ((below <= ranks.rank[node]) == (numbers <= limit)).all()


def test_each_side_of_missing_values_has_a_column():
    boosted = boost(4)
    ranks = rank_nodes(boosted)
    names = {number: name for name, number in ranks.columns.items()}
    nan_left = np.concatenate([tree.nan_left for tree in boosted.trees])
    assert [names[number][1] for number in ranks.column.tolist()] == nan_left.tolist()
    assert sorted(names) == list(range(len(names)))


def test_many_thresholds_have_several_segments(monkeypatch):
    monkeypatch.setattr(threshold_ranks, "MAX_THRESHOLDS", 5)
    ranks = rank_nodes(boost(4))
    assert max(map(len, ranks.thresholds.values())) == 5
    assert {segment for _, segment in ranks.thresholds} > {0, 1}


def test_no_nodes_have_no_columns():
    assert rank_nodes(boost(2, leaves=1)).columns == {}
