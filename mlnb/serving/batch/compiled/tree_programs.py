"""Trees as data for the machine code: nodes from the leaves up, each with where its answers lie and its own goes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlnb.serving.batch.compiled.threshold_ranks import Ranks
from mlnb.serving.batch.compiled.tree_assembly import CHUNK, LINE, TOGETHER, write_score
from mlnb.serving.edge.lightgbm_text import Boosted, Tree

Children = list[tuple[int, int]]  # of each node; leaves are negative
NO_NODE, ZERO = np.empty(0, np.int64), np.zeros(1)
NOTHING = Tree(NO_NODE, NO_NODE, NO_NODE, NO_NODE, NO_NODE, ZERO)  # a tree that adds nothing


@dataclass(frozen=True)
class Program:
    """What the machine code takes: its own function `score`, and what this is called with."""

    ranks: Ranks
    lane: str  # i8 or i16: what holds a rank
    assembly: str  # of `score`
    nodes: np.ndarray
    groups: np.ndarray  # int64
    count: int  # groups of nodes, or trees
    leaves: np.ndarray
    memory: np.ndarray  # what it writes to

    def arrange(self, addresses: np.ndarray) -> np.ndarray:
        """Return the addresses of the columns, (columns,) uint64, as the machine code takes them."""
        return addresses


def write_program(boosted: Boosted, ranks: Ranks) -> Program:
    """Return the program of a booster with at least one node, whose trees are small."""
    most = max(len(tree.value) for tree in boosted.trees)
    lane = (
        "i8" if max(most, *(len(cuts) + 2 for cuts in ranks.cuts.values())) <= 2**8 else "i16"
    )  # missing, too, is one
    writer = _Writer(lane, most)
    starts = np.cumsum([0, *(len(tree.feature) for tree in boosted.trees)]).tolist()
    for output in range(boosted.outputs):
        numbers = range(output, len(boosted.trees), boosted.outputs)
        for first in range(0, len(numbers), TOGETHER):
            told = []
            for number in numbers[first : first + TOGETHER]:
                some = slice(starts[number], starts[number + 1])
                told.append((boosted.trees[number], ranks.place[some], ranks.rank[some]))
            writer.add(output, told)
    nodes, groups = np.array(writer.nodes, np.int32), np.array(writer.groups, np.int64)
    leaves = np.concatenate(writer.leaves)
    return Program(ranks, lane, write_score(lane), nodes, groups, len(groups), leaves, writer.memory())


def allot(count: int) -> np.ndarray:
    """Return so many bytes, and a little more, that begin where a line begins."""
    raw = np.zeros(count + 2 * LINE, np.uint8)
    return raw[-raw.ctypes.data % LINE :][: count + LINE]


class _Writer:
    """A program while trees are added to it."""

    def __init__(self, lane: str, lines: int) -> None:
        self.size = int(lane[1:]) // 8  # bytes of a rank, or of the number of a leaf
        self.lines = lines  # leaves of the largest tree: of each a line of memory holds its number again and again
        self.slots = 0  # chunks of memory for what nodes choose
        self.nodes: list[tuple[int, ...]] = []
        self.groups: list[tuple[int, ...]] = []
        self.leaves: list[np.ndarray] = []
        self.leaf = 0  # leaves so far

    def slot(self, number: int) -> int:
        """Where in memory a slot begins, in bytes."""
        return self.lines * LINE + number * CHUNK * self.size

    def memory(self) -> np.ndarray:
        """Memory for all slots, and before it the numbers of the leaves."""
        made = allot(self.slot(self.slots))
        numbers = made[: self.slot(0)].view(f"u{self.size}").reshape(self.lines, -1)
        numbers[:] = np.arange(self.lines)[:, None]
        return made

    def add(self, output: int, trees: list[tuple[Tree, np.ndarray, np.ndarray]]) -> None:
        """Add trees, with their nodes' columns and ranks, whose values are added to a row's score one after the other.

        What lacks to a group adds nothing.
        """
        start, slots, told = len(self.nodes), _Slots(), list[int]()
        for tree, place, rank in [*trees, *[(NOTHING, NO_NODE, NO_NODE)] * (TOGETHER - len(trees))]:
            compared = list(zip(place.tolist(), rank.tolist(), strict=True))
            children = list(zip(tree.left.tolist(), tree.right.tolist(), strict=True))
            told += [self.slot(self._add_tree(children, compared, slots)), self.leaf]
            self.leaves.append(tree.value)
            self.leaf += len(tree.value)
        self.slots = max(self.slots, slots.count)
        self.groups.append((start, len(self.nodes), output, *told))

    def _add_tree(self, tree: Children, compared: list[tuple[int, int]], slots: "_Slots") -> int:
        """Add a tree's nodes; return the slot that holds its leaf for each row."""
        if not tree:
            slot = slots.take()
            self.nodes.append((0, 0, 0, 0, 0, 0, self.slot(slot)))  # leaf 0, whatever the row
            return slot
        held: dict[int, int] = {}
        for node in _from_below(tree):
            answers = [(self.slot(held[child]), LINE) if child >= 0 else (~child * LINE, 0) for child in tree[node]]
            slots.free += [held[child] for child in _inner(tree, node)]  # a chunk is read before it is written
            slot = held[node] = slots.take()
            self.nodes.append((*compared[node], *answers[0], *answers[1], self.slot(slot)))
        return held[0]


def _from_below(tree: Children) -> Iterator[int]:
    """Yield a tree's nodes, each after its children and the larger side first, which needs the fewest slots."""
    down, open_ = list[int](), [0]
    while open_:
        node = open_.pop()
        down.append(node)
        open_ += _inner(tree, node)
    below = [1] * len(tree)
    for node in reversed(down):
        below[node] += sum(below[child] for child in _inner(tree, node))
    waiting = [(0, False)]
    while waiting:
        node, ready = waiting.pop()
        if ready:
            yield node
            continue
        waiting.append((node, True))
        waiting += [(child, False) for child in sorted(_inner(tree, node), key=below.__getitem__)]


def _inner(tree: Children, node: int) -> list[int]:
    return [child for child in tree[node] if child >= 0]


class _Slots:
    """Chunks of memory, used again when what they hold has been read."""

    def __init__(self) -> None:
        self.free: list[int] = []
        self.count = 0

    def take(self) -> int:
        if self.free:
            return self.free.pop()
        self.count += 1
        return self.count - 1
