"""Small trees as data for compiled code: nodes in post-order, each with where its inputs are and its result goes."""

from collections.abc import Iterator

import numpy as np

from mlnb.serving.batch.compiled.small_tree_ir import CHUNK, GROUP, write_score
from mlnb.serving.batch.compiled.threshold_ranks import Ranks
from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE, TreeLayout, allocate_aligned
from mlnb.serving.edge.lightgbm_text import BoostedTrees, Tree

Children = list[tuple[int, int]]  # of each node; leaves are negative
NO_NODE, ZERO = np.empty(0, np.int64), np.zeros(1)
EMPTY_TREE = Tree(NO_NODE, NO_NODE, NO_NODE, NO_NODE, NO_NODE, ZERO)  # adds 0.0 to a score


def lay_out_small_trees(boosted: BoostedTrees, ranks: Ranks) -> TreeLayout:
    """Return the layout of a booster that has at least one node and whose trees are small."""
    leaves = max(len(tree.value) for tree in boosted.trees)
    ranks_in_use = max(len(thresholds) + 2 for thresholds in ranks.thresholds.values())  # one is that of missing values
    lane = "i8" if max(leaves, ranks_in_use) <= 2**8 else "i16"
    writer = _Writer(lane, leaves)
    starts = np.cumsum([0, *(len(tree.feature) for tree in boosted.trees)]).tolist()
    for output in range(boosted.outputs):
        numbers = range(output, len(boosted.trees), boosted.outputs)
        for first in range(0, len(numbers), GROUP):
            group = []
            for number in numbers[first : first + GROUP]:
                own = slice(starts[number], starts[number + 1])
                group.append((boosted.trees[number], ranks.column[own], ranks.rank[own]))
            writer.add(output, group)
    nodes, groups = np.array(writer.nodes, np.int32), np.array(writer.groups, np.int64)
    values = np.concatenate(writer.values)
    return TreeLayout(ranks, lane, write_score(lane), nodes, groups, len(groups), values, writer.memory())


class _Writer:
    """A layout while trees are added to it.

    Args:
        lane: LLVM's type of a rank and of the number of a leaf.
        leaves: of the largest tree: for each of them one cache line of memory repeats its number.
    """

    def __init__(self, lane: str, leaves: int) -> None:
        self.size = int(lane[1:]) // 8
        self.leaves = leaves
        self.slots = 0
        self.nodes: list[tuple[int, ...]] = []
        self.groups: list[tuple[int, ...]] = []
        self.values: list[np.ndarray] = []
        self.value_count = 0

    def slot(self, number: int) -> int:
        """Return where in memory a slot begins, in bytes."""
        return self.leaves * CACHE_LINE + number * CHUNK * self.size

    def memory(self) -> np.ndarray:
        """Return memory for all slots, and before it the numbers of the leaves."""
        memory = allocate_aligned(self.slot(self.slots))
        numbers = memory[: self.slot(0)].view(f"u{self.size}").reshape(self.leaves, -1)
        numbers[:] = np.arange(self.leaves)[:, None]
        return memory

    def add(self, output: int, trees: list[tuple[Tree, np.ndarray, np.ndarray]]) -> None:
        """Add a group of trees with their nodes' columns and ranks; empty trees complete it.

        Their values are added to a row's score one after the other, in this order.
        """
        start, slots, results = len(self.nodes), _Slots(), list[int]()
        for tree, column, rank in [*trees, *[(EMPTY_TREE, NO_NODE, NO_NODE)] * (GROUP - len(trees))]:
            compared = list(zip(column.tolist(), rank.tolist(), strict=True))
            children = list(zip(tree.left.tolist(), tree.right.tolist(), strict=True))
            results += [self.slot(self._add_tree(children, compared, slots)), self.value_count]
            self.values.append(tree.value)
            self.value_count += len(tree.value)
        self.slots = max(self.slots, slots.count)
        self.groups.append((start, len(self.nodes), output, *results))

    def _add_tree(self, tree: Children, compared: list[tuple[int, int]], slots: "_Slots") -> int:
        """Add a tree's nodes; return the slot that holds the leaf of each row."""
        if not tree:
            slot = slots.take()
            self.nodes.append((0, 0, 0, 0, 0, 0, self.slot(slot)))  # leaf 0 for every row
            return slot
        results: dict[int, int] = {}
        for node in _in_post_order(tree):
            # An input is an address and its step between lines: a leaf's line is repeated, so that its step is 0.
            inputs = [
                (self.slot(results[child]), CACHE_LINE) if child >= 0 else (~child * CACHE_LINE, 0)
                for child in tree[node]
            ]
            slot = results[node] = slots.take()  # never one that the node reads
            slots.free += [results[child] for child in _inner(tree, node)]
            self.nodes.append((*compared[node], *inputs[0], *inputs[1], self.slot(slot)))
        return results[0]


def _in_post_order(tree: Children) -> Iterator[int]:
    """Yield a tree's nodes, each after its children and the larger side first, which needs the fewest slots."""
    descending, stack = list[int](), [0]
    while stack:
        node = stack.pop()
        descending.append(node)
        stack += _inner(tree, node)
    sizes = [1] * len(tree)
    for node in reversed(descending):
        sizes[node] += sum(sizes[child] for child in _inner(tree, node))
    waiting = [(0, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            yield node
            continue
        waiting.append((node, True))
        waiting += [(child, False) for child in sorted(_inner(tree, node), key=sizes.__getitem__)]


def _inner(tree: Children, node: int) -> list[int]:
    return [child for child in tree[node] if child >= 0]


class _Slots:
    """Chunks of memory, reused once their content has been read."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.count = 0

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.count += 1
        return self.count - 1
