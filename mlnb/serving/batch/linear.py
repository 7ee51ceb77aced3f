"""A linear model without its matrix: what a column adds to the scores, once for each of its different values.

The terms are added in the order of the encoded columns, as `mlnb.methods.smooth` adds them, so that the sums are the
same to the last bit; only where a term comes from is another: a category's is looked up.
"""

from collections.abc import Sequence

import numpy as np

from mlnb.methods.models import Model
from mlnb.methods.smooth import apply_scale, to_probabilities
from mlnb.serving.batch.compiled import PROOF, Encoded

ROWS = 8192  # added up together: sums and terms stay in the nearest memory


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

    def predict(self, encoded: Sequence[Encoded], rows: int, task: str) -> np.ndarray:
        """Return what `mlnb.methods.models.predict` gives for the rows, whatever the task."""
        known = [None if places is None else self._terms(at, matrix) for at, (matrix, places) in enumerate(encoded)]
        whole = [None if places is None else places.astype(np.intp) for _, places in encoded]
        scores = np.zeros((len(self.weights), rows))
        term = np.empty(ROWS)
        for first in range(0, rows, ROWS):
            part = scores[:, first : first + ROWS]
            count = part.shape[1]
            for at, (matrix, _) in enumerate(encoded):
                table, places = known[at], whole[at]
                if table is None or places is None:
                    for terms in self._terms(at, matrix[first : first + ROWS]):
                        part += terms
                    continue
                some = places[first : first + ROWS]
                for terms in table:
                    for output, values in enumerate(terms):
                        part[output] += values.take(some, out=term[:count], mode="clip")
        sums = np.ascontiguousarray(scores.T) + self.starts
        return to_probabilities(sums) if self.classes else sums[:, 0]

    def _terms(self, at: int, matrix: np.ndarray) -> np.ndarray:
        """Return what a column's numbers (n, k) add to the scores: (k, outputs, n)."""
        learned, some = self.scales[at]
        Z = apply_scale(learned, matrix)
        return np.ascontiguousarray(Z.T[:, None] * self.weights[:, some].T[:, :, None])


def take_apart(model: Model, widths: Sequence[int]) -> Linear | None:
    """Return a linear model by columns, which is yet to be proven; None for other models."""
    if model.family != "linear" or len(model.native["classes"]) not in (0, model.classes):
        return None
    return Linear(model, widths)
