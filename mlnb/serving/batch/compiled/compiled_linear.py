"""A linear model without its matrix: what a column adds to the scores is computed once for each distinct value.

The terms are added in the order of the encoded columns, as `numpy_models` adds them, so that the sums are equal bit
for bit; the term of a category is looked up instead of computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlnb.methods.models.fitted_models import Model
from mlnb.methods.models.numpy_models import MAX_Z, scale_columns, to_probabilities
from mlnb.serving.batch.compiled.compiled_trees import VERIFY_ROWS
from mlnb.serving.batch.compiled.linear_ir import ROWS_ABREAST, write_sums
from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER, CompiledFunctions, can_compile
from mlnb.serving.batch.encoded_columns import EncodedTable

_FUNCTIONS = {
    "add_terms": (POINTER, COUNT, POINTER, COUNT, POINTER),
    "add_numbers": (POINTER, COUNT, COUNT, POINTER, POINTER),
}


@dataclass(frozen=True)
class _Scale:
    """How one column of the table is scaled.

    Args:
        learned: fill, mean and scale (k,), and knots (m, k) where numbers become quantiles.
        columns: which columns of the matrix it becomes.
    """

    learned: dict[str, np.ndarray]
    columns: slice


class CompiledLinear:
    """A linear model that reads encoded columns as they are.

    Args:
        model: of family "linear".
        widths: width of each column of the table once it is encoded.
    """

    verify_rows: int = VERIFY_ROWS

    def __init__(self, model: Model, widths: Sequence[int]) -> None:
        native = model.native
        self.weights, self.intercepts = (np.asarray(native[name]) for name in ("coefficients", "intercepts"))
        self.classifies = bool(native["classes"])
        self.scales: list[_Scale] = []
        for stop, width in zip(np.cumsum(widths).tolist(), widths, strict=True):
            columns = slice(stop - width, stop)
            learned = {name: np.asarray(native[name])[columns] for name in ("fill", "mean", "scale")}
            if "knots" in native:
                learned["knots"] = np.asarray(native["knots"])[:, columns]
            self.scales.append(_Scale(learned, columns))
        self.functions = CompiledFunctions(write_sums(), _FUNCTIONS) if can_compile() else None

    def predict(self, encoded: EncodedTable, rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` returns for these rows, of which there is at least one."""
        scores = np.zeros((len(self.weights), rows + ROWS_ABREAST))
        for column, scale in zip(encoded, self.scales, strict=True):
            numbers, codes = column.numbers, column.codes
            for sums, weights in zip(scores, self.weights[:, scale.columns], strict=True):
                if self.functions is None or (codes is None and "knots" in scale.learned):
                    for term in (scale_columns(scale.learned, numbers) * weights).T:
                        sums[:rows] += term if codes is None else term.take(codes)
                elif codes is None:
                    self._add_numbers(self.functions, numbers, scale.learned, weights, sums)
                else:
                    terms = np.ascontiguousarray(scale_columns(scale.learned, numbers) * weights)
                    self.functions.call["add_terms"](
                        terms.ctypes.data, len(weights), codes.ctypes.data, rows, sums.ctypes.data
                    )
        sums = np.ascontiguousarray(scores[:, :rows].T) + self.intercepts
        return to_probabilities(sums) if self.classifies else sums[:, 0]

    def _add_numbers(
        self,
        functions: CompiledFunctions,
        numbers: np.ndarray,
        learned: dict[str, np.ndarray],
        weights: np.ndarray,
        sums: np.ndarray,
    ) -> None:
        """Add the terms of numbers (n, k) to sums (n,), scaling each in place."""
        rows, stride = numbers.shape
        bounds = np.full(stride, MAX_Z)
        parameters = [*(learned[name] for name in ("fill", "mean", "scale")), -bounds, bounds, weights]
        for column, values in enumerate(np.stack(parameters, axis=1)):
            start = numbers.ctypes.data + numbers.itemsize * column
            functions.call["add_numbers"](start, stride, rows, values.ctypes.data, sums.ctypes.data)


def compile_linear(model: Model, widths: Sequence[int]) -> CompiledLinear | None:
    """Return the compiled form of a linear model, which is yet to be verified; None for other models."""
    if model.family != "linear" or len(model.native["classes"]) not in (0, model.classes):
        return None
    return CompiledLinear(model, widths)
