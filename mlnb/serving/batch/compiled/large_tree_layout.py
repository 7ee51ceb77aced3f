"""Large trees as data for compiled code: eight bytes a node, the two children of each node next to each other."""

from dataclasses import dataclass

import numpy as np

from mlnb.serving.batch.compiled.large_tree_ir import COLUMN_BYTES, HEADER, TILE, TOP, TOP_NODES, write_traversal
from mlnb.serving.batch.compiled.threshold_ranks import Ranks
from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE, TreeLayout, allocate_aligned
from mlnb.serving.edge.lightgbm_text import BoostedTrees

BLOCK_ROWS, BLOCK_BYTES = 1024, 2**19  # rows that pass a tree before the next tree, and bytes for their ranks
MAX_RANK = 2**16 - 1
MAX_COLUMNS = 2**19 // COLUMN_BYTES  # that a node can name: its 16 bits count eight bytes each


@dataclass(frozen=True)
class LargeTreeLayout(TreeLayout):
    """A layout of large trees. Columns that are equal in the rows at hand are copied only once to a block.

    Args:
        column_fields: where in `nodes`, in units of two bytes, each inner node has the number of its column (nodes,).
        sizes: bytes of each tree (trees,).
    """

    column_fields: np.ndarray
    sizes: np.ndarray

    def bind_columns(self, addresses: np.ndarray) -> np.ndarray:
        """Return the addresses, and after them each distinct one; write into each node the number of its column."""
        distinct, index = np.unique(addresses, return_inverse=True)
        rows = BLOCK_ROWS
        while rows > TILE and rows * len(distinct) * 4 > BLOCK_BYTES:
            rows //= 2
        names = (index * (COLUMN_BYTES // 8)).astype(np.uint16)[self.ranks.column]
        self.nodes.view(np.uint16)[self.column_fields] = names
        self.groups[:3] = len(distinct), rows, len(addresses)
        # While one tree is traversed the next one is prefetched, some cache lines with each tile.
        lines = -(-np.roll(self.sizes, -1) // CACHE_LINE // (rows // TILE))
        self.groups[3:].reshape(self.count, -1)[:, 4] = lines
        return np.concatenate([addresses, distinct])


def lay_out_large_trees(boosted: BoostedTrees, ranks: Ranks) -> LargeTreeLayout | None:
    """Return the layout of a booster with large trees; None when they compare too many columns."""
    width = len(ranks.columns)
    if width > MAX_COLUMNS:
        return None
    nodes = _order_nodes(boosted)
    headers, words = _write_headers(nodes, ranks), _write_words(nodes, ranks)
    values = np.zeros(len(words))
    values[nodes.position[nodes.inner :]] = np.concatenate([tree.value for tree in boosted.trees])
    # Of each tree the header, the nodes and, in their order, the values; nodes and values end at a cache line.
    counts = np.diff(nodes.starts)
    body = _round_to_lines(HEADER + 8 * counts)
    sizes = body + _round_to_lines(8 * counts)
    begin = np.cumsum(sizes) - sizes
    memory = allocate_aligned(int(sizes.sum()))
    for tree, (start, stop) in enumerate(zip(nodes.starts[:-1], nodes.starts[1:], strict=True)):
        part = memory[begin[tree] :]
        part[:HEADER] = headers[tree].view(np.uint8)
        part[HEADER:][: 8 * counts[tree]] = words[start:stop].view(np.uint8)
        part[body[tree] :][: 8 * counts[tree]] = values[start:stop].view(np.uint8)
    outputs, zeros = np.arange(len(counts)) % boosted.outputs, np.zeros(len(counts), np.int64)
    table = np.stack([begin, begin + body, outputs, np.roll(begin, -1), zeros, nodes.depth - TOP], axis=1)
    groups = np.concatenate([[0, 0, 0], table.reshape(-1)]).astype(np.int64)
    block = allocate_aligned(max(BLOCK_BYTES, TILE * width * 4))
    # A node's position in memory is that in its tree, after the headers and the values of the trees before it.
    inner = nodes.position[: nodes.inner]
    tree_of = np.repeat(np.arange(len(counts)), (counts - 1) // 2)
    fields = (begin[tree_of] + HEADER) // 2 + 4 * (inner - nodes.starts[tree_of])
    return LargeTreeLayout(ranks, "i16", write_traversal(), memory, groups, len(counts), memory, block, fields, sizes)


@dataclass(frozen=True)
class _Nodes:
    """All nodes of all trees: the inner ones, tree after tree, and then the leaves, tree after tree.

    Args:
        inner: number of inner nodes.
        left, right: children of each inner node (inner,).
        roots: root of each tree (trees,).
        starts: position of each tree's first node, in nodes (trees + 1,).
        position: of each node, in nodes (nodes,).
        left_offset: position of each inner node's left child, counted from the tree's first node (inner,).
        depth: mean depth of each tree's leaves (trees,).
    """

    inner: int
    left: np.ndarray
    right: np.ndarray
    roots: np.ndarray
    starts: np.ndarray
    position: np.ndarray
    left_offset: np.ndarray
    depth: np.ndarray


def _order_nodes(boosted: BoostedTrees) -> _Nodes:
    """Return the nodes with their positions: siblings are adjacent, and soon after their parent."""
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
    pairs = np.zeros(count + int(leaves.sum()), np.int64)  # of siblings, in the subtree of each node
    for level in reversed(levels):
        pairs[level] = 1 + pairs[left[level]] + pairs[right[level]]
    first, offset = (np.zeros(len(pairs), np.int64) for _ in range(2))  # in its tree: first pair below; position
    depth = np.zeros(len(pairs), np.int64)
    for level in levels:
        one, other = left[level], right[level]
        depth[one] = depth[other] = depth[level] + 1
        offset[one], offset[other] = 1 + 2 * first[level], 2 + 2 * first[level]
        first[one] = first[level] + 1
        first[other] = first[one] + pairs[one]
    sizes = inner + leaves
    starts = np.concatenate([[0], np.cumsum(sizes)])
    trees = np.concatenate([np.repeat(np.arange(len(inner)), each) for each in (inner, leaves)])
    mean = np.add.reduceat(depth[count:], first_leaf - count) // leaves
    return _Nodes(count, left, right, roots, starts, offset + starts[trees], offset[left], mean)


def _write_words(nodes: _Nodes, ranks: Ranks) -> np.ndarray:
    """Return each node's eight bytes, in the order of memory.

    From the lowest bits: the column (16), which `bind_columns` fills in; the complement of the threshold's rank (16),
    so that a higher rank carries; the number of the left child (32), to which it carries. A leaf leads to itself.
    """
    words = np.empty(len(nodes.position), np.uint64)
    starts = nodes.starts[:-1]
    leaves = nodes.position[nodes.inner :]
    own = leaves - np.repeat(starts, (np.diff(nodes.starts) + 1) // 2)
    words[leaves] = own.astype(np.uint64) << np.uint64(32)
    complement = MAX_RANK - ranks.rank
    words[nodes.position[: nodes.inner]] = ((nodes.left_offset << 32) | (complement << 16)).astype(np.uint64)
    return words


def _write_headers(nodes: _Nodes, ranks: Ranks) -> np.ndarray:
    """Return each tree's header (trees, n) int32: the top levels as a complete tree, in which a leaf repeats itself."""
    heap = [nodes.roots]
    headers = np.zeros((len(nodes.roots), HEADER // 4), np.int32)
    for number in range(TOP_NODES):
        node = heap[number]
        real = node < nodes.inner
        some = node[real]
        headers[real, 2 * number] = ranks.column[some]
        headers[:, 2 * number + 1] = MAX_RANK
        headers[real, 2 * number + 1] = ranks.rank[some]
        for side in (nodes.left, nodes.right):
            child = node.copy()
            child[real] = side[some]
            heap.append(child)
    for number, node in enumerate(heap[TOP_NODES:]):
        headers[:, 2 * TOP_NODES + number] = nodes.position[node] - nodes.starts[:-1]
    return headers


def _round_to_lines(count: np.ndarray) -> np.ndarray:
    return -(-count // CACHE_LINE) * CACHE_LINE
