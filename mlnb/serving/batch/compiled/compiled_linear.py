"""A linear model without its matrix: what a column adds to the scores, once for each of its different values.

The terms are added in the order of the encoded columns, as `numpy_models` adds them, so that the sums are the
same to the last bit; only where a term comes from is another: a category's is looked up.
"""

from collections.abc import Sequence

import numpy as np

from mlnb.methods.models.fitted_models import Model
from mlnb.methods.models.numpy_models import STEEPEST, apply_scale, to_probabilities
from mlnb.serving.batch.compiled.compiled_trees import PROOF, Encoded
from mlnb.serving.batch.compiled.linear_assembly import ABREAST, write_sums
from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER, Machine, can_compile

_FUNCTIONS = {
    "look_up": (POINTER, COUNT, POINTER, COUNT, POINTER),
    "scale": (POINTER, COUNT, COUNT, POINTER, POINTER),
}


class Linear:
    """A linear model that reads encoded columns where they are."""

    proof: int = PROOF  # rows on which it has to give the model's own bits

    def __init__(self, model: Model, widths: Sequence[int]) -> None:
        """Take the model apart, by columns of such widths when encoded."""
        native = model.native
        self.weights, self.starts = (np.asarray(native[name]) for name in ("coefficients", "intercepts"))
        self.classes = bool(native["classes"])
        self.scales: list[tuple[dict[str, np.ndarray], slice]] = []
        for stop, width in zip(np.cumsum(widths).tolist(), widths, strict=True):
            some = slice(stop - width, stop)
            learned = {name: np.asarray(native[name])[some] for name in ("fill", "mean", "scale")}
            if "knots" in native:
                learned["knots"] = np.asarray(native["knots"])[:, some]
            self.scales.append((learned, some))
        self.machine = Machine(write_sums(), _FUNCTIONS) if can_compile() else None

    def predict(self, encoded: Sequence[Encoded], rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` gives for the rows, of which there is at least one."""
        scores = np.zeros((len(self.weights), rows + ABREAST))
        for (matrix, places), (learned, some) in zip(encoded, self.scales, strict=True):
            for sums, weights in zip(scores, self.weights[:, some], strict=True):
                if self.machine is None or (places is None and "knots" in learned):
                    for term in (apply_scale(learned, matrix) * weights).T:
                        sums[:rows] += term if places is None else term.take(places)
                elif places is None:
                    self._scale(matrix, learned, weights, sums)
                else:
                    terms = np.ascontiguousarray(apply_scale(learned, matrix) * weights)
                    self.machine.call["look_up"](
                        terms.ctypes.data, len(weights), places.ctypes.data, rows, sums.ctypes.data
                    )
        sums = np.ascontiguousarray(scores[:, :rows].T) + self.starts
        return to_probabilities(sums) if self.classes else sums[:, 0]

    def _scale(self, matrix: np.ndarray, learned: dict[str, np.ndarray], weights: np.ndarray, sums: np.ndarray) -> None:
        """Add the terms of numbers (n, k), each scaled where it lies."""
        assert self.machine is not None
        rows, stride = matrix.shape
        bounds = np.full(stride, STEEPEST)
        facts = np.stack([*(learned[name] for name in ("fill", "mean", "scale")), -bounds, bounds, weights], axis=1)
        for at, fact in enumerate(facts):
            start = matrix.ctypes.data + matrix.itemsize * at
            self.machine.call["scale"](start, stride, rows, fact.ctypes.data, sums.ctypes.data)


def take_apart(model: Model, widths: Sequence[int]) -> Linear | None:
    """Return a linear model by columns, which is yet to be proven; None for other models."""
    if model.family != "linear" or len(model.native["classes"]) not in (0, model.classes):
        return None
    return Linear(model, widths)
