"""Trees as data for the machine code: nodes from the leaves up, each with where its answers lie and its own goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from mlnb.serving.batch.assembly import CHUNK, LINE, TOGETHER
from mlnb.serving.edge.boosters import Boosted, Tree

MOST_LEAVES = 1024  # of a tree, on average: every node is looked at for every row, which pays while there are few


@dataclass
class Program:
    """What `score` of `mlnb.serving.batch.assembly` takes."""

    lane: str  # i8 or i16: what holds a rank, and the number of a leaf
    cuts: dict[int, np.ndarray]  # feature -> its thresholds, ascending
    columns: dict[tuple[int, bool], int]  # feature, and whether a missing value goes left -> place
    lines: int  # leaves of the largest tree: of each a line of memory holds its number again and again
    slots: int = 0  # chunks of memory for what nodes choose
    nodes: list[tuple[int, ...]] = field(default_factory=list)
    groups: list[tuple[int, ...]] = field(default_factory=list)
    leaves: list[float] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of a rank."""
        return int(self.lane[1:]) // 8

    def slot(self, number: int) -> int:
        """Where in memory a slot begins, in bytes."""
        return self.lines * LINE + number * CHUNK * self.size


def write_program(boosted: Boosted) -> Program | None:
    """Return the program of a booster; None when its trees are too large for it to pay."""
    cuts: dict[int, set[float]] = {}
    columns: dict[tuple[int, bool], int] = {}
    for tree in boosted.trees:
        for feature, threshold, nan_left in zip(tree.feature, tree.threshold, tree.nan_left, strict=True):
            cuts.setdefault(feature, set()).add(threshold)
            columns.setdefault((feature, nan_left), len(columns))
    most = max((len(tree.value) for tree in boosted.trees), default=0)
    ranks = max([2, most, *(len(each) + 2 for each in cuts.values())])  # of a feature: below, between, above, missing
    if not columns or ranks > 2**16 or sum(len(t.value) for t in boosted.trees) > MOST_LEAVES * len(boosted.trees):
        return None
    ordered = {feature: np.array(sorted(each)) for feature, each in cuts.items()}
    program = Program("i8" if ranks <= 2**8 else "i16", ordered, columns, most)
    for output in range(boosted.outputs):
        trees = boosted.trees[output :: boosted.outputs]
        for first in range(0, len(trees), TOGETHER):
            _write_group(program, output, trees[first : first + TOGETHER])
    return program


def _write_group(program: Program, output: int, trees: list[Tree]) -> None:
    """Add trees whose values are added to a row's score one after the other; what lacks to a group adds nothing."""
    start, slots, told = len(program.nodes), _Slots(), list[int]()
    for tree in [*trees, *[NOTHING] * (TOGETHER - len(trees))]:
        told += [program.slot(_write_tree(program, tree, slots)), len(program.leaves)]
        program.leaves += tree.value
    program.slots = max(program.slots, slots.count)
    program.groups.append((start, len(program.nodes), output, *told))


def _write_tree(program: Program, tree: Tree, slots: "_Slots") -> int:
    """Add a tree's nodes; return the slot that holds its leaf for each row."""
    if not tree.feature:
        slot = slots.take()
        program.nodes.append((0, 0, 0, 0, 0, 0, program.slot(slot)))  # leaf 0, whatever the row
        return slot
    held: dict[int, int] = {}
    for node in _from_below(tree):
        children = (tree.left[node], tree.right[node])
        answers = [(program.slot(held[child]), LINE) if child >= 0 else (~child * LINE, 0) for child in children]
        for child in children:
            if child >= 0:
                slots.free.append(held[child])  # a chunk is read before it is written
        slot = held[node] = slots.take()
        feature = tree.feature[node]
        rank = int(np.searchsorted(program.cuts[feature], tree.threshold[node]))
        place = program.columns[feature, tree.nan_left[node]]
        program.nodes.append((place, rank, *answers[0], *answers[1], program.slot(slot)))
    return held[0]


def _from_below(tree: Tree) -> Iterator[int]:
    """Yield a tree's nodes, each after its children and the larger side first, which needs the fewest slots."""
    down, open_ = list[int](), [0]
    while open_:
        node = open_.pop()
        down.append(node)
        open_ += _inner(tree, node)
    below = [1] * len(tree.feature)
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


def _inner(tree: Tree, node: int) -> list[int]:
    return [child for child in (tree.left[node], tree.right[node]) if child >= 0]


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


NOTHING = Tree([], [], [], [], [], [0.0])
