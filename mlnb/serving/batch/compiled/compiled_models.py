"""The shorter way to a model's predictions, by columns as they are encoded: of trees, linear models and ensembles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.methods.models.fitted_models import Model
from mlnb.serving.batch.compiled.compiled_linear import Linear, take_apart
from mlnb.serving.batch.compiled.compiled_trees import Compiled, Encoded, compile_model


class Together:
    """The weighted sum of what an ensemble's members say."""

    def __init__(self, members: Sequence["Shorter"], weights: Sequence[float]) -> None:
        """Take the members' own shorter ways."""
        self.members, self.weights = members, weights
        self.proof: int = min(member.proof for member in members)

    def predict(self, encoded: Sequence[Encoded], rows: int, task: str) -> np.ndarray:
        """Return what `fitted_models.predict` gives for the rows, of which there is at least one."""
        total: Any = 0.0
        for member, weight in zip(self.members, self.weights, strict=True):
            total = total + weight * member.predict(encoded, rows, task)
        summed: np.ndarray = total
        return summed


Shorter = Compiled | Linear | Together


def find_shorter(
    model: Model,
    folder: Path,  # where it was loaded from
    widths: Sequence[int],  # of the columns when encoded
) -> Shorter | None:
    """Return a shorter way that is yet to be proven; None for models that have none."""
    native = model.native
    if not isinstance(native, dict) or "members" not in native:
        return take_apart(model, widths) or compile_model(model, folder, widths)
    members = list[Shorter]()
    for place, member in enumerate(native["members"]):
        found = find_shorter(member, folder / str(place), widths)
        if found is None:
            return None
        members.append(found)
    return Together(members, native["weights"])
