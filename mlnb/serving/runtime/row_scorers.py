"""A fitted model as a function of one encoded row: for LightGBM without a matrix, a thread or a copy.

The numbers are those of `mlnb.methods.models.fitted_models.predict`, bit for bit.
"""

import ctypes
import importlib
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

import numpy as np

from mlnb.methods.models.fitted_models import Model, is_booster, predict
from mlnb.methods.models.skewed_targets import LogTransform, from_log
from mlnb.methods.tasks.task_traits import traits_of

RowScorer = Callable[[np.ndarray], list[float]]  # encoded row (d,) -> probabilities (k,), or one value

NORMAL, FLOAT64 = 0, 1  # LightGBM's C_API_PREDICT_NORMAL and C_API_DTYPE_FLOAT64


def compile_scorer(model: Model) -> RowScorer:
    """Return a function that scores one encoded row, from any thread."""
    if is_booster(model):
        return _BoosterScorer(model).score
    native = model.native
    if isinstance(native, dict) and "members" in native:
        return _score_ensemble([compile_scorer(member) for member in native["members"]], native["weights"])
    if isinstance(native, dict) and "inner" in native:
        return _score_transformed(compile_scorer(native["inner"]), native["transform"])
    return _score_matrix(model)


def import_lightgbm_alone() -> None:
    """Import LightGBM without the libraries that it tries to import and a service does not use.

    For processes that only serve: LightGBM's scikit-learn classes are missing afterwards. The import hook is there
    because LightGBM has no option for it, and pandas and scikit-learn would take seconds and 100 MB in every worker.
    pyarrow, where it is installed, looks for pandas when it first converts values: it converts some here.
    """
    if "lightgbm" in sys.modules:
        return
    hide = _HideLibraries()
    sys.meta_path.insert(0, hide)
    try:
        importlib.import_module("lightgbm")
        if "pyarrow" in sys.modules:
            sys.modules["pyarrow"].array([None])
    finally:
        sys.meta_path.remove(hide)


class _HideLibraries(MetaPathFinder):
    """Makes libraries that are not imported yet look as if they were not installed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Raise `ImportError` for one of them."""
        if fullname in ("sklearn", "pandas", "matplotlib", "dask"):
            raise ModuleNotFoundError(f"{fullname} is left out", name=fullname)


def _score_ensemble(members: Sequence[RowScorer], weights: Sequence[float]) -> RowScorer:
    """Return the weighted sum of an ensemble's members, added up in their order."""

    def score(row: np.ndarray) -> list[float]:
        total = [0.0 + weights[0] * value for value in members[0](row)]
        for member, weight in zip(members[1:], weights[1:], strict=True):
            total = [so_far + weight * value for so_far, value in zip(total, member(row), strict=True)]
        return total

    return score


def _score_transformed(inner: RowScorer, transform: LogTransform) -> RowScorer:
    """Return the inverted prediction of an inner model, computed by the same function as that of many rows."""

    def score(row: np.ndarray) -> list[float]:
        values: list[float] = from_log(transform, np.array(inner(row))).tolist()
        return values

    return score


def _score_matrix(model: Model) -> RowScorer:
    """Return the model's own prediction for a matrix of one row."""

    def score(row: np.ndarray) -> list[float]:
        values: list[float] = predict(model, row[None])[0].tolist()
        return values if model.classes else [values]  # type: ignore[list-item]

    return score


class _BoosterScorer:
    """LightGBM's single-row call, prepared once a thread.

    https://lightgbm.readthedocs.io/en/stable/C-API.html: `LGBM_BoosterPredictForMatSingleRowFast` may not be called
    with one configuration from two threads at once. Each thread therefore has a configuration, and buffers whose
    address does not change.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.threads = threading.local()
        self.binary = traits_of(model.task).two_classes

    def score(self, row: np.ndarray) -> list[float]:
        """Return the prediction for one row."""
        try:
            function, arguments, buffer, outputs = self.threads.prepared
        except AttributeError:
            function, arguments, buffer, outputs = self.threads.prepared = self._prepare()
        buffer[:] = row
        if function(*arguments):
            raise RuntimeError(_library().LGBM_GetLastError().decode())
        if self.binary:
            value: float = outputs[0]
            return [1.0 - value, value]
        values: list[float] = outputs[:]
        return values

    def _prepare(self) -> tuple[Callable[..., int], tuple[Any, ...], memoryview, Any]:
        """Return the function, its arguments, the row that it reads and the numbers that it writes."""
        library, count = _library(), self.model.native.num_model_per_iteration()
        buffer, outputs = np.zeros(self.model.features), (ctypes.c_double * count)()
        configuration, length = ctypes.c_void_p(), ctypes.c_int64()
        if library.LGBM_BoosterPredictForMatSingleRowFastInit(
            self.model.native._handle,
            NORMAL,
            0,
            -1,
            FLOAT64,
            self.model.features,
            b"num_threads=1",
            ctypes.byref(configuration),
        ):
            raise RuntimeError(library.LGBM_GetLastError().decode())
        weakref.finalize(outputs, library.LGBM_FastConfigFree, configuration)
        function = library.LGBM_BoosterPredictForMatSingleRowFast
        address, written = buffer.ctypes.data_as(ctypes.c_void_p), ctypes.byref(length)
        return function, (configuration, address, written, outputs), buffer.data, outputs


@cache
def _library() -> Any:
    """Return LightGBM's shared library, called while holding the GIL: a row takes less than a switch of threads."""
    from lightgbm.libpath import _LIB

    library = ctypes.PyDLL(_LIB._name)
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library
