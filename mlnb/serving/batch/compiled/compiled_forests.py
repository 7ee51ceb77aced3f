"""Large trees as data for the machine code: eight bytes a node, the two children of each side by side."""

from dataclasses import dataclass

import numpy as np

from mlnb.serving.batch.compiled.forest_assembly import HEAD, HEADER, TILE, TOP, WIDE, write_walk
from mlnb.serving.batch.compiled.threshold_ranks import Ranks
from mlnb.serving.batch.compiled.tree_assembly import LINE
from mlnb.serving.batch.compiled.tree_programs import Program, allot
from mlnb.serving.edge.lightgbm_text import Boosted

ROWS, ROOM = 1024, 2**19  # rows that are taken through a tree before the next, and bytes for their ranks
HIGHEST = 2**16 - 1  # a rank: no row's is higher
MOST_COLUMNS = 2**19 // WIDE  # what a node can name: its 16 bits count eight bytes each


@dataclass(frozen=True)
class Forest(Program):
    """A program of large trees. Columns that are the same in the rows at hand lie only once where a tree is walked."""

    places: np.ndarray  # (nodes,) of what the inner nodes name their columns with, in `nodes` as 16 bits each
    sizes: np.ndarray  # (trees,) bytes

    def arrange(self, addresses: np.ndarray) -> np.ndarray:
        """Return the addresses, and after them each once: nodes are told which one theirs is."""
        different, which = np.unique(addresses, return_inverse=True)
        rows = ROWS
        while rows > TILE and rows * len(different) * 4 > ROOM:
            rows //= 2
        names = (which * (WIDE // 8)).astype(np.uint16)[self.ranks.place]
        self.nodes.view(np.uint16)[self.places] = names
        self.groups[:3] = len(different), rows, len(addresses)
        # While one tree is walked the next one is fetched, some lines with each tile.
        self.groups[3:].reshape(self.count, -1)[:, 4] = -(-np.roll(self.sizes, -1) // LINE // (rows // TILE))
        return np.concatenate([addresses, different])


def write_forest(boosted: Boosted, ranks: Ranks) -> Program | None:
    """Return the program of a booster with large trees; None when they look at too many columns."""
    width = len(ranks.columns)
    if width > MOST_COLUMNS:
        return None
    nodes = _lay_out(boosted)
    heads, words = _write_heads(nodes, ranks), _write_words(nodes, ranks)
    values = np.zeros(len(words))
    values[nodes.at[nodes.inner :]] = np.concatenate([tree.value for tree in boosted.trees])
    # Of each tree the header, the nodes and, in their order, the values: each begins where a line begins.
    counts = np.diff(nodes.starts)
    body = _whole_lines(HEADER + 8 * counts)
    sizes = body + _whole_lines(8 * counts)
    begin = np.cumsum(sizes) - sizes
    memory = allot(int(sizes.sum()))
    for tree, (start, stop) in enumerate(zip(nodes.starts[:-1], nodes.starts[1:], strict=True)):
        here = memory[begin[tree] :]
        here[:HEADER] = heads[tree].view(np.uint8)
        here[HEADER:][: 8 * counts[tree]] = words[start:stop].view(np.uint8)
        here[body[tree] :][: 8 * counts[tree]] = values[start:stop].view(np.uint8)
    outputs, none = np.arange(len(counts)) % boosted.outputs, np.zeros(len(counts), np.int64)
    table = np.stack([begin, begin + body, outputs, np.roll(begin, -1), none, nodes.depth - TOP], axis=1)
    groups = np.concatenate([[0, 0, 0], table.reshape(-1)]).astype(np.int64)
    room = allot(max(ROOM, TILE * width * 4))
    # A node's place in memory is that in its tree, behind the headers and the values of the trees before.
    inner = nodes.at[: nodes.inner]
    whose = np.repeat(np.arange(len(counts)), (counts - 1) // 2)
    places = (begin[whose] + HEADER) // 2 + 4 * (inner - nodes.starts[whose])
    return Forest(ranks, "i16", write_walk(), memory, groups, len(counts), memory, room, places, sizes)


@dataclass(frozen=True)
class _Nodes:
    """All nodes of all trees: the inner ones, tree after tree, and then the leaves, tree after tree."""

    inner: int  # how many are inner
    left: np.ndarray  # (inner,): number of the child
    right: np.ndarray
    roots: np.ndarray  # (trees,)
    starts: np.ndarray  # (trees + 1,): where in memory, in nodes, each tree's begin
    at: np.ndarray  # (nodes,): where in memory each is
    below: np.ndarray  # (inner,): where its left child is, counted from the tree's first
    depth: np.ndarray  # (trees,): mean of its leaves


def _lay_out(boosted: Boosted) -> _Nodes:
    """Return the nodes with their places: a node's children lie together, and soon after those of its parent."""
    inner = np.array([len(tree.feature) for tree in boosted.trees])
    leaves = inner + 1
    count = int(inner.sum())
    first_inner, first_leaf = np.cumsum(inner) - inner, count + np.cumsum(leaves) - leaves
    sides = []
    for name in ("left", "right"):
        child = np.concatenate([getattr(tree, name) for tree in boosted.trees])
        sides.append(np.where(child >= 0, child + np.repeat(first_inner, inner), np.repeat(first_leaf, inner) + ~child))
    left, right = sides
    roots = np.where(inner > 0, first_inner, first_leaf)
    levels = [roots[inner > 0]]
    while len(levels[-1]):
        children = np.concatenate([left[levels[-1]], right[levels[-1]]])
        levels.append(children[children < count])
    pairs = np.zeros(count + int(leaves.sum()), np.int64)  # of children, in all that is below a node
    for level in reversed(levels):
        pairs[level] = 1 + pairs[left[level]] + pairs[right[level]]
    first, at = np.zeros(len(pairs), np.int64), np.zeros(len(pairs), np.int64)  # in its tree: first pair below; place
    depth = np.zeros(len(pairs), np.int64)
    for level in levels:
        one, other = left[level], right[level]
        depth[one] = depth[other] = depth[level] + 1
        at[one], at[other] = 1 + 2 * first[level], 2 + 2 * first[level]
        first[one] = first[level] + 1
        first[other] = first[one] + pairs[one]
    sizes = inner + leaves
    starts = np.concatenate([[0], np.cumsum(sizes)])
    trees = np.concatenate([np.repeat(np.arange(len(inner)), each) for each in (inner, leaves)])
    mean = np.add.reduceat(depth[count:], first_leaf - count) // leaves
    return _Nodes(count, left, right, roots, starts, at + starts[trees], at[left], mean)


def _write_words(nodes: _Nodes, ranks: Ranks) -> np.ndarray:
    """Return each node's eight bytes, in the order of memory.

    From the lowest: column, which `arrange` fills in; how much a rank must have for the sum to carry; the number of
    the left child, to which it carries. No rank is enough for a leaf's, which leads to itself.
    """
    words = np.empty(len(nodes.at), np.uint64)
    starts = nodes.starts[:-1]
    leaves = nodes.at[nodes.inner :]
    own = leaves - np.repeat(starts, (np.diff(nodes.starts) + 1) // 2)
    words[leaves] = own.astype(np.uint64) << np.uint64(32)
    lacking = HIGHEST - ranks.rank
    words[nodes.at[: nodes.inner]] = ((nodes.below << 32) | (lacking << 16)).astype(np.uint64)
    return words


def _write_heads(nodes: _Nodes, ranks: Ranks) -> np.ndarray:
    """Return each tree's header (trees, n) int32: the first levels as a whole tree; leaves go on as themselves."""
    heap = [nodes.roots]
    heads = np.zeros((len(nodes.roots), HEADER // 4), np.int32)
    for number in range(HEAD):
        node = heap[number]
        real = node < nodes.inner
        some = node[real]
        heads[real, 2 * number] = ranks.place[some]
        heads[:, 2 * number + 1] = HIGHEST
        heads[real, 2 * number + 1] = ranks.rank[some]
        for side in (nodes.left, nodes.right):
            child = node.copy()
            child[real] = side[some]
            heap.append(child)
    for number, node in enumerate(heap[HEAD:]):
        heads[:, 2 * HEAD + number] = nodes.at[node] - nodes.starts[:-1]
    return heads


def _whole_lines(count: np.ndarray) -> np.ndarray:
    return -(-count // LINE) * LINE
