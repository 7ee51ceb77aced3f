"""The layout of large trees: decoded from its bytes, it is the tree that was written."""

import numpy as np
import pytest
from random_trees import make_tree

from mlnb.serving.batch.compiled import large_tree_layout
from mlnb.serving.batch.compiled.large_tree_ir import COLUMN_BYTES, HEADER
from mlnb.serving.batch.compiled.large_tree_layout import BLOCK_ROWS, MAX_RANK, lay_out_large_trees
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.edge.lightgbm_text import BoostedTrees


@pytest.fixture
def boosted():
    rng = np.random.default_rng(0)
    return BoostedTrees(1, "identity", 1.0, False, [make_tree(rng, 4, n, False) for n in (40, 1, 90)])


def test_bytes_are_the_trees(boosted):
    ranks = rank_nodes(boosted)
    layout = lay_out_large_trees(boosted, ranks)
    layout.bind_columns(np.arange(len(ranks.columns), dtype=np.uintp) * 4096)
    trees = layout.groups[3:].reshape(-1, 6)
    node = 0
    for tree, (begin, values, output, _, _, _) in zip(boosted.trees, trees.tolist(), strict=True):
        words = layout.nodes[begin + HEADER :].view(np.uint64)[: 2 * len(tree.value) - 1].tolist()
        leaves = layout.leaves[values:].view(np.float64)
        waiting = [(0, 0)] if len(tree.feature) else [(~0, 0)]
        while waiting:
            number, position = waiting.pop()
            word = words[position]
            child, complement, column = word >> 32, word >> 16 & MAX_RANK, (word & MAX_RANK) * 8 // COLUMN_BYTES
            if number < 0:
                assert (child, complement, leaves[position]) == (position, 0, tree.value[~number])
                continue
            assert column == ranks.column[node + number]
            assert complement == MAX_RANK - ranks.rank[node + number]
            waiting += [(int(tree.left[number]), child), (int(tree.right[number]), child + 1)]
        node += len(tree.feature)
        assert (output, begin % 64, values % 64) == (0, 0, 0)
    assert trees[:, 3].tolist() == np.roll(trees[:, 0], -1).tolist()


def test_equal_columns_are_copied_once(boosted):
    ranks = rank_nodes(boosted)
    layout = lay_out_large_trees(boosted, ranks)
    addresses = np.repeat(np.array([64, 128], np.uintp), [2, len(ranks.columns) - 2])
    assert layout.bind_columns(addresses).tolist() == [*addresses.tolist(), 64, 128]
    assert layout.groups[:3].tolist() == [2, BLOCK_ROWS, len(addresses)]


def test_blocks_of_many_columns_have_fewer_rows(boosted, monkeypatch):
    monkeypatch.setattr(large_tree_layout, "BLOCK_BYTES", 4096)
    ranks = rank_nodes(boosted)
    layout = lay_out_large_trees(boosted, ranks)
    layout.bind_columns(np.arange(len(ranks.columns), dtype=np.uintp))
    rows = int(layout.groups[1])
    assert rows * len(ranks.columns) * 4 <= 4096 < 2 * rows * len(ranks.columns) * 4


def test_too_many_columns_have_no_layout(boosted, monkeypatch):
    monkeypatch.setattr(large_tree_layout, "MAX_COLUMNS", 3)
    assert lay_out_large_trees(boosted, rank_nodes(boosted)) is None
