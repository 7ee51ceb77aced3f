"""The compiled form of a model: of trees, of a linear model, of these with a transformed target, or of an ensemble."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mlnb.methods.models.fitted_models import Model
from mlnb.methods.models.skewed_targets import LogTransform, from_log
from mlnb.serving.batch.compiled.compiled_linear import CompiledLinear, compile_linear
from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees, compile_trees
from mlnb.serving.batch.encoded_columns import EncodedTable


class CompiledEnsemble:
    """The weighted sum of the predictions of an ensemble's compiled members.

    Args:
        members: the compiled members.
        weights: one for each member, in the same order.
    """

    def __init__(self, members: Sequence["CompiledModel"], weights: Sequence[float]) -> None:
        self.members, self.weights = members, weights
        self.verify_rows: int = min(member.verify_rows for member in members)

    def predict(self, encoded: EncodedTable, rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` returns for these rows, of which there is at least one."""
        total: np.ndarray | float = 0.0
        for member, weight in zip(self.members, self.weights, strict=True):
            total = total + weight * member.predict(encoded, rows, task)
        return np.asarray(total)


class CompiledTransformed:
    """The inverted predictions of a compiled model of the logarithm of the target.

    Args:
        inner: the compiled inner model.
        transform: the logarithm and its inverse.
    """

    def __init__(self, inner: "CompiledModel", transform: LogTransform) -> None:
        self.inner, self.transform = inner, transform
        self.verify_rows: int = inner.verify_rows

    def predict(self, encoded: EncodedTable, rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` returns for these rows, of which there is at least one."""
        return from_log(self.transform, self.inner.predict(encoded, rows, task))


CompiledModel = CompiledTrees | CompiledLinear | CompiledTransformed | CompiledEnsemble


def compile_model(model: Model, folder: Path, widths: Sequence[int]) -> CompiledModel | None:
    """Return the compiled form of a model, which is yet to be verified.

    Args:
        model: the model as loaded.
        folder: where it was loaded from.
        widths: width of each column of the table once it is encoded.

    Returns:
        None for model families that have no compiled form, and without llvmlite.
    """
    native = model.native
    if isinstance(native, dict) and "inner" in native:
        inner = compile_model(native["inner"], folder / "0", widths)
        return None if inner is None else CompiledTransformed(inner, native["transform"])
    if not isinstance(native, dict) or "members" not in native:
        return compile_linear(model, widths) or compile_trees(model, folder, widths)
    members = list[CompiledModel]()
    for number, member in enumerate(native["members"]):
        compiled = compile_model(member, folder / str(number), widths)
        if compiled is None:
            return None
        members.append(compiled)
    return CompiledEnsemble(members, native["weights"])
