"""Trees by machine code, many rows at a time: some thirty times as fast as one row after the other.

Scores are summed tree by tree as LightGBM sums them, so that they are the same to the last bit, which is checked on
real rows before it is relied on. Needs llvmlite: pip install "mlnb[batch]"; without it LightGBM answers.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.models.fitted_models import Model, is_booster
from mlnb.serving.batch.compiled.compiled_forests import write_forest
from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER, Machine, can_compile
from mlnb.serving.batch.compiled.threshold_ranks import rank_nodes
from mlnb.serving.batch.compiled.tree_assembly import BINNED, CHUNK, write_module
from mlnb.serving.batch.compiled.tree_programs import Program, allot, write_program
from mlnb.serving.edge.lightgbm_text import Boosted, read_booster

Encoded = tuple[np.ndarray, np.ndarray | None]  # numbers (u, k) of a column's different values, places (n,) int32;
#                                                 or numbers (n, k) of the rows themselves
_FUNCTIONS = {
    "bin": (POINTER, COUNT, COUNT, POINTER, COUNT, POINTER),
    "spread": (POINTER, POINTER, COUNT, POINTER),
    "score": (POINTER, COUNT, POINTER, POINTER, COUNT, POINTER, POINTER, POINTER),
    "exponential": (POINTER, POINTER, COUNT),
}


SMALL = 256  # leaves of a tree, on average, up to which it pays to look at every node for every row
PROOF = 8192  # rows on which a short way has to give the model's own bits
PROOF_OF_LARGE = 2048  # the same for large trees: LightGBM takes many times as long for a row


class Compiled:
    """A booster that reads encoded columns where they are, so that no matrix has to be made."""

    def __init__(self, boosted: Boosted, program: Program, widths: Sequence[int], exponential: int) -> None:
        """Compile, for columns of such widths when encoded and exp at that address; ImportError without llvmlite."""
        self.machine = Machine(write_module(program.lane, program.assembly), _FUNCTIONS)
        self.boosted, self.program, self.exponential = boosted, program, exponential
        self.proof: int = PROOF if _are_small(boosted) else PROOF_OF_LARGE
        self.kind = np.dtype(np.uint8 if program.lane == "i8" else np.uint16)
        self.places = [(column, offset) for column, width in enumerate(widths) for offset in range(width)]
        self.cuts = {stretch: _padded(cuts) for stretch, cuts in program.ranks.cuts.items()}
        self.memory = allot(0)

    def predict(self, encoded: Sequence[Encoded], rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` gives for the rows, of which there is at least one."""
        boosted, program = self.boosted, self.program
        whole = -(-rows // CHUNK) * CHUNK
        columns = program.arrange(self._rank(encoded, rows, whole))
        all_scores = np.zeros((boosted.outputs, whole))
        self.machine.call["score"](
            columns.ctypes.data,
            whole,
            program.nodes.ctypes.data,
            program.groups.ctypes.data,
            program.count,
            program.leaves.ctypes.data,
            program.memory.ctypes.data,
            all_scores.ctypes.data,
        )
        scores = all_scores[:, :rows]
        if boosted.mean:
            scores /= len(boosted.trees) // boosted.outputs
        if boosted.link == "softmax":
            raised = self._exp(scores - scores.max(axis=0))
            return np.ascontiguousarray((raised / np.add.accumulate(raised, axis=0)[-1]).T)
        if boosted.link == "exp":
            scores = self._exp(scores)
        if boosted.link == "sigmoid":
            scores = 1.0 / (1.0 + self._exp(-boosted.slope * scores))
        if task == "binary":
            return np.column_stack([1.0 - scores[0], scores[0]])
        return scores[0] if boosted.outputs == 1 else np.ascontiguousarray(scores.T)

    def _rank(self, encoded: Sequence[Encoded], rows: int, whole: int) -> np.ndarray:
        """Return the addresses of the program's columns: ranks (n,) of each feature, missing ones lowest or highest."""
        wanted, size = self.program.ranks.columns, self.kind.itemsize
        if len(self.memory) < len(wanted) * whole * size:
            self.memory = allot(len(wanted) * whole * size)
        addresses = np.zeros(len(wanted), np.uintp)
        for stretch, (cuts, half) in self.cuts.items():
            column, offset = self.places[stretch[0]]
            numbers, codes = encoded[column]
            count, width = numbers.shape
            places = [
                (nan_left, wanted[stretch, nan_left]) for nan_left in (True, False) if (stretch, nan_left) in wanted
            ]
            start = places[0][1] * whole * size
            into = np.empty(count + BINNED, self.kind) if codes is not None else self.memory[start:].view(self.kind)
            source = numbers.ctypes.data + numbers.itemsize * offset
            self.machine.call["bin"](source, width, count, cuts.ctypes.data, half, into.ctypes.data)
            gone = np.isnan(numbers[:, offset])
            apart = bool(gone.any())
            for number, (nan_left, place) in enumerate(places):
                address = self.memory.ctypes.data + place * whole * size
                if number and not apart:
                    addresses[place] = addresses[places[0][1]]
                    continue
                addresses[place] = address
                ranks = into
                if codes is None and number:
                    ranks = self.memory[place * whole * size :].view(self.kind)
                    ranks[:count] = into[:count]
                if apart and not nan_left:
                    ranks[:count][gone] = 2 ** (8 * size) - 1
                if codes is not None:
                    self.machine.call["spread"](ranks.ctypes.data, codes.ctypes.data, rows, address)
        return addresses

    def _exp(self, values: np.ndarray) -> np.ndarray:
        """Return the C library's exponentials."""
        values = np.ascontiguousarray(values)
        self.machine.call["exponential"](self.exponential, values.ctypes.data, values.size)
        return values


def compile_model(
    model: Model,
    folder: Path,  # where it was loaded from
    widths: Sequence[int],  # of the columns when encoded
) -> Compiled | None:
    """Return a model's trees as machine code that is yet to be proven; None without llvmlite, and for other models."""
    exponential = _find_exponential()
    if not is_booster(model) or exponential is None or not can_compile():
        return None
    try:
        boosted = read_booster((folder / "model.txt").read_bytes().decode())
    except UsageError:
        return None
    program = choose_program(boosted)
    return None if program is None else Compiled(boosted, program, widths, exponential)


def choose_program(boosted: Boosted) -> Program | None:
    """Return the faster program for trees of such sizes; None where no tree has a node, and for too many columns."""
    ranks = rank_nodes(boosted)
    if not ranks.columns:
        return None
    return (write_program if _are_small(boosted) else write_forest)(boosted, ranks)


def _are_small(boosted: Boosted) -> bool:
    leaves = [len(tree.value) for tree in boosted.trees]
    return sum(leaves) <= SMALL * len(leaves) and max(leaves) <= 2**16


def _find_exponential() -> int | None:
    """Return the address of the C library's exponential, or None where it is not to be had."""
    try:
        return ctypes.cast(ctypes.CDLL(None).exp, POINTER).value
    except (AttributeError, OSError, TypeError):
        return None


def _padded(cuts: np.ndarray) -> tuple[np.ndarray, int]:
    """Return thresholds from place 1 on, filled up to one less than a power of two, and half of that power."""
    power = 1 << len(cuts).bit_length()
    return np.concatenate([[0.0], cuts, np.full(power - 1 - len(cuts), np.inf)]), power // 2
