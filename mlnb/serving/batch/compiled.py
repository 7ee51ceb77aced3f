"""Trees as machine code: a file's millions of rows repay the second or two that LLVM takes.

A node becomes one comparison and one branch; a comparison that is true of NaN sends missing values left. Scores
are summed tree by tree as LightGBM sums them, so that they are the same to the last bit, which is checked on real
rows before it is relied on. Needs llvmlite: pip install "mlnb[batch]"; without it LightGBM answers.
"""

import ctypes
import importlib.util
import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from mlnb.methods.models import Model, is_booster
from mlnb.serving.edge.boosters import Boosted, Tree, read_booster

Encoded = tuple[np.ndarray, np.ndarray]  # numbers (u, k) of a column's different values; their places (n,), int32
BLOCK = 64  # trees whose code is run over some rows before the next ones' is
ROWS = 2048  # rows that stay in the processor's cache meanwhile
MOST_NODES = 200_000  # of all trees: more take too long to compile


class Compiled:
    """A booster as machine code; it reads encoded columns where they are, so that no matrix has to be made."""

    def __init__(self, boosted: Boosted, widths: Sequence[int]) -> None:
        """Compile, for columns that are encoded to so many numbers each; ImportError without llvmlite."""
        import llvmlite.binding as llvm

        self.boosted = boosted
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        machine = llvm.Target.from_default_triple().create_target_machine(opt=2)
        module = llvm.parse_assembly("\n".join(_module(boosted, widths)))
        self.engine = llvm.create_mcjit_compiler(module, machine)  # owns the code
        self.engine.finalize_object()
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)
        blocks = range(-(-len(boosted.trees) // BLOCK))
        self.blocks = [kind(self.engine.get_function_address(f"block{number}")) for number in blocks]

    def predict(self, encoded: Sequence[Encoded], rows: int, task: str) -> np.ndarray:
        """Return what `mlnb.methods.models.predict` gives for the rows."""
        boosted = self.boosted
        scores = np.zeros((rows, boosted.outputs))
        numbers = (ctypes.c_void_p * len(encoded))(*[matrix.ctypes.data for matrix, _ in encoded])
        codes = (ctypes.c_void_p * len(encoded))(*[places.ctypes.data for _, places in encoded])
        for first in range(0, rows, ROWS):
            for block in self.blocks:
                block(numbers, codes, scores.ctypes.data, first, min(first + ROWS, rows))
        if boosted.mean:
            scores /= len(boosted.trees) // boosted.outputs
        if boosted.link == "softmax":
            raised = _exp(scores - scores.max(axis=1, keepdims=True))
            return raised / np.add.accumulate(raised, axis=1)[:, -1:]
        if boosted.link == "exp":
            scores = _exp(scores)
        if boosted.link == "sigmoid":
            scores = 1.0 / (1.0 + _exp(-boosted.slope * scores))
        if task == "binary":
            return np.concatenate([1.0 - scores, scores], axis=1)
        return scores[:, 0] if boosted.outputs == 1 else scores


def compile_model(model: Model, encoded: Sequence[Encoded], expected: np.ndarray) -> Compiled | None:
    """Return a model's trees as machine code, or None: without llvmlite, for other models, or if one bit differs."""
    if not is_booster(model) or importlib.util.find_spec("llvmlite") is None:
        return None
    boosted = read_booster(model.native.model_to_string())
    if sum(len(tree.feature) for tree in boosted.trees) > MOST_NODES:
        return None
    made = Compiled(boosted, [matrix.shape[1] for matrix, _ in encoded])
    same = np.array_equal(made.predict(encoded, len(expected), model.task), expected)
    return made if same else None


def _exp(values: np.ndarray) -> np.ndarray:
    """The C library's exponential, which LightGBM uses and numpy does not."""
    return np.fromiter(map(math.exp, values.ravel().tolist()), np.float64, values.size).reshape(values.shape)


def _hexadecimal(value: float) -> str:
    """Return a number as LLVM reads it without rounding."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _module(boosted: Boosted, widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of LLVM's assembly."""
    places = [(column, offset) for column, width in enumerate(widths) for offset in range(width)]
    for number, tree in enumerate(boosted.trees):
        yield from _tree(number, tree, places)
    for number, first in enumerate(range(0, len(boosted.trees), BLOCK)):
        trees = range(first, min(first + BLOCK, len(boosted.trees)))
        used = sorted({places[feature][0] for tree in trees for feature in boosted.trees[tree].feature})
        yield from _block(number, trees, boosted.outputs, {column: widths[column] for column in used}, len(widths))


def _tree(number: int, tree: Tree, places: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Yield a function from the places of a row's encoded columns to the value of its leaf."""
    yield f"define internal double @tree{number}(ptr %row) noinline {{"
    if not tree.feature:
        yield f"  ret double {_hexadecimal(tree.value[0])}\n}}"
        return
    yield "  br label %n0"
    columns = zip(tree.feature, tree.threshold, tree.left, tree.right, tree.nan_left, strict=True)
    for node, (feature, threshold, left, right, nan_left) in enumerate(columns):
        goes = [f"n{child}" if child >= 0 else f"l{~child}" for child in (left, right)]
        column, offset = places[feature]
        yield f"n{node}:\n  %r{node} = getelementptr ptr, ptr %row, i64 {column}"
        yield f"  %m{node} = load ptr, ptr %r{node}\n  %p{node} = getelementptr double, ptr %m{node}, i64 {offset}"
        yield f"  %v{node} = load double, ptr %p{node}"
        yield f"  %c{node} = fcmp {'ule' if nan_left else 'ole'} double %v{node}, {_hexadecimal(threshold)}"
        yield f"  br i1 %c{node}, label %{goes[0]}, label %{goes[1]}"
    for leaf, value in enumerate(tree.value):
        yield f"l{leaf}:\n  ret double {_hexadecimal(value)}"
    yield "}"


def _block(number: int, trees: range, outputs: int, used: dict[int, int], columns: int) -> Iterator[str]:
    """Yield a function that adds some trees' values to the scores of rows; `used`: widths of the columns they read."""
    yield f"define void @block{number}(ptr %numbers, ptr %codes, ptr %out, i64 %from, i64 %to) {{"
    yield f"start:\n  %row = alloca ptr, i64 {columns}"
    for column in used:
        yield f"  %na{column} = getelementptr ptr, ptr %numbers, i64 {column}\n  %n{column} = load ptr, ptr %na{column}"
        yield f"  %ka{column} = getelementptr ptr, ptr %codes, i64 {column}\n  %k{column} = load ptr, ptr %ka{column}"
        yield f"  %w{column} = getelementptr ptr, ptr %row, i64 {column}"
    yield "  %some = icmp slt i64 %from, %to\n  br i1 %some, label %each, label %end"
    yield "each:\n  %i = phi i64 [ %from, %start ], [ %next, %each ]\n  %first = mul i64 %i, " + str(outputs)
    for column, width in used.items():
        yield f"  %ca{column} = getelementptr i32, ptr %k{column}, i64 %i\n  %c{column} = load i32, ptr %ca{column}"
        yield f"  %e{column} = sext i32 %c{column} to i64\n  %f{column} = mul i64 %e{column}, {width}"
        yield f"  %g{column} = getelementptr double, ptr %n{column}, i64 %f{column}"
        yield f"  store ptr %g{column}, ptr %w{column}"
    latest = {}
    for output in sorted({tree % outputs for tree in trees}):
        yield f"  %o{output} = add i64 %first, {output}\n  %q{output} = getelementptr double, ptr %out, i64 %o{output}"
        yield f"  %s{output} = load double, ptr %q{output}"
        latest[output] = f"%s{output}"
    for tree in trees:
        yield f"  %t{tree} = call double @tree{tree}(ptr %row)"
        yield f"  %a{tree} = fadd double {latest[tree % outputs]}, %t{tree}"
        latest[tree % outputs] = f"%a{tree}"
    for output, name in latest.items():
        yield f"  store double {name}, ptr %q{output}"
    yield "  %next = add i64 %i, 1\n  %more = icmp slt i64 %next, %to\n  br i1 %more, label %each, label %end"
    yield "end:\n  ret void\n}"
