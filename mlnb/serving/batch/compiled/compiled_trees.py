"""Compiled trees: a LightGBM booster scored for many rows at a time, some thirty times as fast as row by row.

Scores are summed tree by tree as LightGBM sums them, so that they are equal bit for bit, which is verified on rows of
the job before it is relied on. Needs llvmlite: pip install "mlnb[batch]"; without it LightGBM scores all rows.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.models.fitted_models import Model, is_booster
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.batch.compiled.large_tree_layout import lay_out_large_trees
from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER, CompiledFunctions, can_compile
from mlnb.serving.batch.compiled.rank_buckets import FUNCTION, make_buckets, write_bucket_rank
from mlnb.serving.batch.compiled.small_tree_ir import CHUNK, SEARCH, write_module
from mlnb.serving.batch.compiled.small_tree_layout import lay_out_small_trees
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.batch.compiled.tree_layout import TreeLayout, allocate_aligned
from mlnb.serving.batch.encoded_columns import EncodedTable
from mlnb.serving.edge.lightgbm_text import BoostedTrees, read_booster

_FUNCTIONS = {
    "rank": (POINTER, COUNT, COUNT, POINTER, COUNT, POINTER),
    "expand": (POINTER, POINTER, COUNT, POINTER),
    "score": (POINTER, COUNT, POINTER, POINTER, COUNT, POINTER, POINTER, POINTER),
    "exponential": (POINTER, POINTER, COUNT),
}
SMALL_LEAVES = 256  # mean leaves of a tree up to which evaluating every node for every row is faster
VERIFY_ROWS = 8192  # on which a compiled model has to give the bits of the original
VERIFY_ROWS_LARGE = 2048  # the same for large trees, for which LightGBM takes many times as long


class CompiledTrees:
    """A compiled booster that reads encoded columns as they are, so that no matrix has to be made.

    Args:
        boosted: the booster's trees.
        layout: the same trees as data for compiled code.
        widths: width of each column of the table once it is encoded.
        exp_address: address of the C library's `exp`, which LightGBM calls.

    Raises:
        ImportError: llvmlite is not installed.
    """

    def __init__(self, boosted: BoostedTrees, layout: TreeLayout, widths: Sequence[int], exp_address: int) -> None:
        module = write_module(layout.lane, layout.score_ir) + write_bucket_rank(layout.lane)
        self.functions = CompiledFunctions(module, _FUNCTIONS | FUNCTION)
        self.boosted, self.layout, self.exp_address = boosted, layout, exp_address
        self.verify_rows: int = VERIFY_ROWS if _are_small(boosted) else VERIFY_ROWS_LARGE
        self.dtype = np.dtype(np.uint8 if layout.lane == "i8" else np.uint16)
        self.features = [(column, offset) for column, width in enumerate(widths) for offset in range(width)]
        self.thresholds = {segment: _pad(values) for segment, values in layout.ranks.thresholds.items()}
        self.buckets = {segment: make_buckets(values) for segment, values in layout.ranks.thresholds.items()}
        self.memory = allocate_aligned(0)

    def predict(self, encoded: EncodedTable, rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` returns for these rows, of which there is at least one."""
        boosted, scores = self.boosted, self.score(encoded, rows)
        if boosted.mean:
            scores /= len(boosted.trees) // boosted.outputs
        if boosted.link == "softmax":
            raised = self._exp(scores - scores.max(axis=0))
            return np.asarray((raised / np.add.accumulate(raised, axis=0)[-1]).T)
        if boosted.link == "exp":
            scores = self._exp(scores)
        if boosted.link == "sigmoid":
            scores = 1.0 / (1.0 + self._exp(-boosted.slope * scores))
        if traits_of(task).two_classes:
            return np.stack([1.0 - scores[0], scores[0]]).T  # columns stay contiguous, as the output needs them
        return scores[0] if boosted.outputs == 1 else scores.T

    def score(self, encoded: EncodedTable, rows: int) -> np.ndarray:
        """Return the sums of the trees' values, (outputs, rows)."""
        layout, padded = self.layout, -(-rows // CHUNK) * CHUNK
        columns = layout.bind_columns(self._rank(encoded, rows, padded))
        scores = np.zeros((self.boosted.outputs, padded))
        self.functions.call["score"](
            columns.ctypes.data,
            padded,
            layout.nodes.ctypes.data,
            layout.groups.ctypes.data,
            layout.count,
            layout.leaves.ctypes.data,
            layout.memory.ctypes.data,
            scores.ctypes.data,
        )
        return scores[:, :rows]

    def _rank(self, encoded: EncodedTable, rows: int, padded: int) -> np.ndarray:
        """Return the addresses of the columns of ranks (columns,); missing values have the lowest or highest rank."""
        columns, size = self.layout.ranks.columns, self.dtype.itemsize
        if len(self.memory) < len(columns) * padded * size:
            self.memory = allocate_aligned(len(columns) * padded * size)
        addresses, memory = np.zeros(len(columns), np.uintp), self.memory.ctypes.data
        for segment, (thresholds, half) in self.thresholds.items():
            index, offset = self.features[segment[0]]
            numbers, codes = encoded[index].numbers, encoded[index].codes
            count, width = numbers.shape
            uses = [
                (nan_left, columns[segment, nan_left]) for nan_left in (True, False) if (segment, nan_left) in columns
            ]
            start = uses[0][1] * padded * size
            first = np.empty(count + SEARCH, self.dtype) if codes is not None else self.memory[start:].view(self.dtype)
            source = numbers.ctypes.data + numbers.itemsize * offset
            if (buckets := self.buckets[segment]) is not None:
                self.functions.call["bucket_rank"](source, width, count, *buckets.arguments, first.ctypes.data)
            else:
                self.functions.call["rank"](source, width, count, thresholds.ctypes.data, half, first.ctypes.data)
            missing = np.isnan(numbers[:, offset])
            any_missing = bool(missing.any())
            for number, (nan_left, column) in enumerate(uses):
                address = memory + column * padded * size
                if number and not any_missing:
                    addresses[column] = addresses[uses[0][1]]
                    continue
                addresses[column] = address
                ranks = first
                if codes is None and number:
                    ranks = self.memory[column * padded * size :].view(self.dtype)
                    ranks[:count] = first[:count]
                if any_missing and not nan_left:
                    ranks[:count][missing] = 2 ** (8 * size) - 1
                if codes is not None:
                    self.functions.call["expand"](ranks.ctypes.data, codes.ctypes.data, rows, address)
        return addresses

    def _exp(self, values: np.ndarray) -> np.ndarray:
        """Return the C library's exponentials."""
        values = np.ascontiguousarray(values)
        self.functions.call["exponential"](self.exp_address, values.ctypes.data, values.size)
        return values


def compile_trees(model: Model, folder: Path, widths: Sequence[int]) -> CompiledTrees | None:
    """Return a model's compiled trees, which are yet to be verified.

    Args:
        model: the model as loaded.
        folder: where it was loaded from.
        widths: width of each column of the table once it is encoded.

    Returns:
        None for other models, for trees that have no layout, and without llvmlite.
    """
    exp_address = find_exp()
    if not is_booster(model) or exp_address is None or not can_compile():
        return None
    try:
        boosted = read_booster((folder / "model.txt").read_bytes().decode())
    except UsageError:
        return None
    layout = choose_layout(boosted)
    return None if layout is None else CompiledTrees(boosted, layout, widths, exp_address)


def choose_layout(boosted: BoostedTrees) -> TreeLayout | None:
    """Return the faster layout for trees of these sizes; None where no tree has a node, and for too many columns."""
    ranks = rank_nodes(boosted)
    if not ranks.columns:
        return None
    return lay_out_small_trees(boosted, ranks) if _are_small(boosted) else lay_out_large_trees(boosted, ranks)


def find_exp() -> int | None:
    """Return the address of the C library's exponential, or None where it cannot be found."""
    try:
        return ctypes.cast(ctypes.CDLL(None).exp, POINTER).value
    except (AttributeError, OSError, TypeError):
        return None


def _are_small(boosted: BoostedTrees) -> bool:
    leaves = [len(tree.value) for tree in boosted.trees]
    return sum(leaves) <= SMALL_LEAVES * len(leaves) and max(leaves) <= 2**16


def _pad(thresholds: np.ndarray) -> tuple[np.ndarray, int]:
    """Return thresholds from index 1 on, padded to one less than a power of two, and half of that power."""
    power = 1 << len(thresholds).bit_length()
    return np.concatenate([[0.0], thresholds, np.full(power - 1 - len(thresholds), np.inf)]), power // 2
