"""A model whose trees are compiled for the many predictions of an evaluation, where they give the same bits."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlnb.codec import replace
from mlnb.methods.models.fitted_models import Model, inner_model, is_booster, predict
from mlnb.methods.tables.sample_weights import even_rows
from mlnb.serving.batch.compiled.compiled_trees import CompiledTrees, compile_trees
from mlnb.serving.batch.compiled.verification import verify
from mlnb.serving.batch.encoded_columns import EncodedColumn

LOG = logging.getLogger("mlnb.serving.batch")
WORTH = 4_000_000  # evaluations of a tree, 0.3 s of one core, from which compiling saves time
VERIFY_ROWS = 256  # rows on which the compiled trees have to give the bits of the original, in two forms
MISSING = 1 / 3  # share of missing values in the second form


def compile_predictions(model: Model, folder: Path, X: np.ndarray, predictions: int) -> Model:
    """Return the model with compiled trees, or unchanged: without llvmlite, for few predictions, or for other bits.

    Args:
        model: the fitted model.
        folder: where it was loaded from.
        X: encoded rows (n, d), which are like those that will be predicted.
        predictions: expected number of rows to predict.

    Returns:
        a model with the same predictions.
    """
    faster = _compile_members(model, folder, predictions)
    if faster is model or not len(X):
        return model
    some = X[even_rows(len(X), VERIFY_ROWS)]
    random = np.random.default_rng(0)
    gaps = np.where(random.random(some.shape) < MISSING, np.nan, random.permuted(some, axis=0))
    probe = np.concatenate([some, gaps])
    verification = verify(predict(faster, probe), predict(model, probe))
    if not verification.equal:
        LOG.warning("The compiled trees are not used, LightGBM predicts, several times slower: %s", verification)
    return faster if verification.equal else model


def _compile_members(model: Model, folder: Path, predictions: int) -> Model:
    """Return the model with compiled trees, which are yet to be verified; the model itself where none is compiled."""
    native = model.native
    if isinstance(native, dict) and "members" in native:
        members = [_compile_members(one, folder / str(at), predictions) for at, one in enumerate(native["members"])]
        changed = any(new is not old for new, old in zip(members, native["members"], strict=True))
        return replace(model, native={**native, "members": members}) if changed else model
    if (inner := inner_model(model)) is not model:
        faster = _compile_members(inner, folder / "0", predictions)
        return model if faster is inner else replace(model, native={**native, "inner": faster})
    if not is_booster(model) or predictions * native.num_trees() < WORTH:
        return model
    compiled = compile_trees(model, folder, [model.features])
    return model if compiled is None else replace(model, faster=_as_function(compiled, model.task))


def _as_function(compiled: CompiledTrees, task: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the predictions of compiled trees as a function of a matrix."""

    def predict_matrix(X: np.ndarray) -> np.ndarray:
        return compiled.predict([EncodedColumn(X, None)], len(X), task)

    return predict_matrix
