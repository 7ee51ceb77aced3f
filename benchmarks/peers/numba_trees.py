"""`CompiledTrees` with numba's loops in place of LLVM IR: the same layouts, so that code generation is compared."""

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees
from mlnb.serving.batch.compiled.large_tree_layout import LargeTreeLayout
from mlnb.serving.batch.compiled.small_tree_ir import CHUNK, GROUP
from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE, TreeLayout, allocate_aligned
from mlnb.serving.batch.encoded_columns import EncodedTable


def import_kernels() -> ModuleType:
    """Return the loops; importing numba takes most of a second."""
    return importlib.import_module("peers.numba_kernels")


class NumbaTrees:
    """Scores by the layout of a compiled booster.

    Args:
        trees: the compiled booster.
    """

    def __init__(self, trees: CompiledTrees) -> None:
        self.kernels = import_kernels()
        self.trees, self.layout, self.dtype = trees, trees.layout, trees.dtype
        self.below, self.less = (
            np.zeros(int(self.kernels.SEARCH), np.uint16),
            np.zeros(int(self.kernels.SEARCH), np.uint8),
        )
        if not isinstance(self.layout, LargeTreeLayout):
            self.nodes, self.groups, self.slots = _to_elements(self.layout, self.dtype)

    def score(self, encoded: EncodedTable, rows: int) -> np.ndarray:
        """Return the sums of the trees' values, (outputs, rows)."""
        padded = -(-rows // CHUNK) * CHUNK
        ranks, columns = self._rank(encoded, padded)
        scores = np.zeros(self.trees.boosted.outputs * padded)
        if isinstance(self.layout, LargeTreeLayout):
            self._score_large(self.layout, ranks, columns, scores, padded)
        else:
            self.kernels.score_small(
                ranks, columns, self.nodes, self.groups, self.layout.leaves, self.slots, scores, np.uint64(padded)
            )
        return scores.reshape(-1, padded)[:, :rows]

    def _rank(self, encoded: EncodedTable, padded: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all ranks, and where in them each column starts."""
        columns = self.layout.ranks.columns
        ranks, starts = _allocate(len(columns) * padded, self.dtype), np.zeros(len(columns), np.uint64)
        for segment, (thresholds, half) in self.trees.thresholds.items():
            index, offset = self.trees.features[segment[0]]
            numbers, codes = encoded[index].numbers, encoded[index].codes
            count, width = numbers.shape
            uses = [
                (nan_left, columns[segment, nan_left]) for nan_left in (True, False) if (segment, nan_left) in columns
            ]
            first = np.empty(count, self.dtype)
            sizes = (np.uint64(value) for value in (offset, width, count))
            self.kernels.rank(numbers.reshape(-1), *sizes, thresholds, np.uint64(half), first, self.below, self.less)
            missing = np.isnan(numbers[:, offset])
            any_missing = bool(missing.any())
            for number, (nan_left, column) in enumerate(uses):
                if number and not any_missing:
                    starts[column] = starts[uses[0][1]]
                    continue
                starts[column] = column * padded
                if any_missing and not nan_left:
                    first[missing] = np.iinfo(self.dtype).max
                if codes is None:
                    ranks[column * padded :][:count] = first
                else:
                    self.kernels.expand(first, codes, ranks, np.uint64(column * padded))
        return ranks, starts

    def _score_large(
        self, layout: LargeTreeLayout, ranks: np.ndarray, columns: np.ndarray, scores: np.ndarray, padded: int
    ) -> None:
        layout.bind_columns(columns)
        distinct = np.unique(columns)
        trees = layout.groups[3:].reshape(-1, 6).copy()
        trees[:, [0, 1, 3]] //= 8
        trees[:, 5] = np.maximum(trees[:, 5], 0)
        memory = layout.nodes[: len(layout.nodes) // 8 * 8]
        self.kernels.score_large(
            ranks,
            columns,
            distinct,
            memory.view(np.uint64),
            memory.view(np.uint32),
            memory.view(np.float64),
            trees.astype(np.uint64),
            layout.memory[: len(layout.memory) // 4 * 4].view(np.uint32),
            _allocate(5 * int(layout.groups[1]), np.dtype(np.uint16)),
            scores,
            np.uint64(padded),
            np.uint64(layout.groups[1]),
        )


def _to_elements(layout: TreeLayout, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return nodes, groups and slots with positions in elements; the number of a leaf fills a separate slot."""
    leaves = int(np.diff(_leaf_starts(layout)).max(initial=1))
    first_slot = leaves * CACHE_LINE

    def to_slot(source: np.ndarray, step: np.ndarray | int) -> np.ndarray:
        slot = leaves + (source - first_slot) // (CHUNK * dtype.itemsize)
        return np.where(step == 0, source // CACHE_LINE, slot) * CHUNK

    nodes = layout.nodes.astype(np.int64)
    left, right = to_slot(nodes[:, 2], nodes[:, 3]), to_slot(nodes[:, 4], nodes[:, 5])
    results = to_slot(nodes[:, 6], CACHE_LINE)
    groups = layout.groups.copy()
    groups[:, 3 : 3 + 2 * GROUP : 2] = to_slot(groups[:, 3 : 3 + 2 * GROUP : 2], CACHE_LINE)
    slots = _allocate(int(results.max()) + CHUNK, dtype)
    slots[: leaves * CHUNK] = np.repeat(np.arange(leaves), CHUNK)
    return (
        np.stack([nodes[:, 0], nodes[:, 1], left, right, results], axis=1).astype(np.uint64),
        groups.astype(np.uint64),
        slots,
    )


def _leaf_starts(layout: TreeLayout) -> Sequence[int]:
    return [*layout.groups[:, 4 : 4 + 2 * GROUP : 2].ravel().tolist(), len(layout.leaves)]


def _allocate(count: int, dtype: np.dtype) -> np.ndarray:
    return allocate_aligned(count * dtype.itemsize)[: count * dtype.itemsize].view(dtype)


def replace_llvm() -> None:
    """Score by numba in this process wherever trees are compiled; numba is imported when the first ones are."""
    compile_with_llvm = CompiledTrees.__init__

    def __init__(self: CompiledTrees, *arguments: Any) -> None:
        compile_with_llvm(self, *arguments)
        self.score = NumbaTrees(self).score  # type: ignore[method-assign]

    CompiledTrees.__init__ = __init__  # type: ignore[method-assign]
