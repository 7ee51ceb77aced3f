"""The layout of small trees: nodes after their children, groups of eight trees, few slots."""

import numpy as np
from random_trees import make_tree

from mlnb.serving.batch.compiled.small_tree_ir import CHUNK, GROUP
from mlnb.serving.batch.compiled.small_tree_layout import lay_out_small_trees
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE
from mlnb.serving.edge.lightgbm_text import BoostedTrees


def lay_out(leaves, outputs=1, deep=False):
    rng = np.random.default_rng(0)
    boosted = BoostedTrees(outputs, "identity", 1.0, False, [make_tree(rng, 4, n, deep) for n in leaves])
    return lay_out_small_trees(boosted, rank_nodes(boosted))


def test_groups_have_eight_trees_of_one_output():
    layout = lay_out([5] * 20, outputs=2)
    groups = layout.groups.reshape(-1, 3 + 2 * GROUP)
    assert groups[:, 2].tolist() == [0, 0, 1, 1]
    assert groups[0, 0] == 0
    assert groups[1:, 0].tolist() == groups[:-1, 1].tolist()
    assert layout.leaves.size == 20 * 5 + 4 * GROUP - 20  # an empty tree has one leaf, of 0.0


def test_a_node_reads_only_what_was_written_before():
    layout = lay_out([9, 17, 30])
    leaf_lines = 30 * CACHE_LINE
    written = set()
    for _, _, left, left_step, right, right_step, result in layout.nodes.tolist():
        for source, step in ((left, left_step), (right, right_step)):
            assert step in (0, CACHE_LINE)
            assert source < leaf_lines if step == 0 else source in written
        written.add(result)


def test_memory_holds_the_numbers_of_the_leaves_and_few_slots():
    layout = lay_out([31] * 8)
    lines = layout.memory[: 31 * CACHE_LINE].reshape(31, CACHE_LINE)
    assert (lines == np.arange(31)[:, None]).all()
    slots = (len(layout.memory) - 31 * CACHE_LINE) // CHUNK
    assert slots < 8 + 6  # eight results, and a few for the tree in work
    assert layout.memory.ctypes.data % CACHE_LINE == 0


def test_many_leaves_need_two_bytes():
    assert lay_out([256]).lane == "i8"
    assert lay_out([257]).lane == "i16"
