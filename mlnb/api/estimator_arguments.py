"""Parameters, targets and weights of the estimators, checked before anything is learned."""

import math
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from mlnb.errors import DataError, ParameterError, UsageError
from mlnb.methods.problem.problem_contract import LEAST_ROWS

SEEDS = 2**32  # seeds are below


@dataclass(frozen=True)
class SearchOptions:
    """The parameters of an estimator.

    Attributes:
        metric: metric to optimize, or auto.
        families: model families to search; empty: those that suit the task.
        trials: number of trials; None: as planned for the table.
        seconds: time limit; 0: none.
        seed: random seed.
        jobs: number of threads, and of trials at the same time.
    """

    metric: str
    families: tuple[str, ...]
    trials: int | None
    seconds: float
    seed: int
    jobs: int


def read_options(estimator: Any) -> SearchOptions:
    """Return the parameters of an estimator. Raises `ParameterError` for a value that cannot be used."""
    metric, families, trials, seconds, jobs = (
        getattr(estimator, name) for name in ("metric", "families", "trials", "seconds", "n_jobs")
    )
    if not isinstance(metric, str):
        raise _refuse("metric", metric, 'the name of a metric, or "auto"')
    families = () if families is None else families
    if not isinstance(families, list | tuple | set | frozenset) or not all(isinstance(one, str) for one in families):
        raise _refuse("families", families, 'a tuple of names such as ("linear", "lightgbm"), or () for all')
    if trials is not None and not (_is_whole(trials) and trials >= 1):
        raise _refuse("trials", trials, "a whole number of at least 1, or None for the number that a run plans")
    seconds = 0.0 if seconds is None else seconds
    if not _is_number(seconds) or not 0 <= seconds < math.inf:
        raise _refuse("seconds", seconds, "a number of at least 0; 0 for no limit")
    if jobs is not None and not (_is_whole(jobs) and jobs != 0):
        raise _refuse("n_jobs", jobs, "a whole number of at least 1, -1 for all processors, or None for 1")
    names = tuple(sorted(families)) if isinstance(families, set | frozenset) else tuple(families)
    return SearchOptions(
        metric,
        names,
        None if trials is None else int(trials),
        float(seconds),
        _read_seed(estimator.random_state),
        int(joblib.effective_n_jobs(jobs)) if jobs is not None else 1,
    )


def _read_seed(random_state: Any) -> int:
    """Return a seed; one that a random generator draws, where that is given."""
    if random_state is None:
        return 0
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(SEEDS, dtype=np.int64))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(SEEDS))
    if not _is_whole(random_state) or not 0 <= random_state < SEEDS:
        expected = "a whole number from 0 to 2**32 - 1, a random generator of numpy, or None for 0"
        raise _refuse("random_state", random_state, expected)
    return int(random_state)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _refuse(name: str, value: Any, expected: str) -> ParameterError:
    return ParameterError(f"Found {name}={repr(value)[:80]}; expected {expected}.")


def read_numbers(y: Any, rows: int) -> np.ndarray:
    """Return the targets of a regression (n,). Raises `UsageError` for those that are not finite numbers."""
    values = _read_present(y, rows, "numbers")
    try:
        if values.dtype.kind in "mM":
            raise TypeError
        numbers: np.ndarray = column_or_1d(values, dtype=np.float64)
    except TypeError:
        raise UsageError(f"Found targets such as {values[0]!r}; expected numbers.") from None
    except ValueError as error:
        if values.dtype.kind == "c":
            raise
        raise UsageError(f"Found targets that are no numbers ({error}); TableClassifier predicts classes.") from None
    if len(infinite := np.flatnonzero(~np.isfinite(numbers))):
        raise UsageError(
            f"Input y contains infinity: found {len(infinite)} of {len(numbers)} targets, the first in row "
            f"{infinite[0]}; expected finite numbers: drop these rows."
        )
    return numbers


def read_classes(y: Any, rows: int, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, str]:
    """Return the classes (k,), ascending, the code of each row's class (n,), and the task.

    Args:
        y: classes (n,).
        rows: number of rows of X.
        weights: sample weights (n,), or None; rows without a weight do not count.

    Raises:
        UsageError: a class is missing, or they have several types.
        DataError: there are too few rows of too many classes.
    """
    values = _read_present(y, rows, "classes")
    try:
        classes, codes = np.unique(values, return_inverse=True)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in values.tolist()})
        raise UsageError(f"Found classes of the types {', '.join(kinds)}; expected one type: convert y.") from None
    check_classification_targets(values)
    counts = np.bincount(codes if weights is None else codes[weights > 0], minlength=len(classes))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        only = classes.tolist()[present[0]]
        where = "" if weights is None else " in the rows with a weight above 0"
        raise DataError(f"Found one class, {only!r}{where}; expected at least two classes.")
    if (counts >= LEAST_ROWS).sum() < 2:
        rare = ", ".join(f"{classes.tolist()[code]!r} ({counts[code]})" for code in present[:5])
        raise DataError(
            f"Found too few rows of the classes {rare}; expected at least {LEAST_ROWS} rows of each of two classes."
        )
    return classes, codes, "binary" if len(present) == 2 else "multiclass"


def _read_present(y: Any, rows: int, expected: str) -> np.ndarray:
    """Return targets (n,). Raises `UsageError` for missing ones, or for another number of them than rows of X."""
    values = y if isinstance(y, pd.Series | pd.DataFrame | pd.Index) else np.asarray(y)
    if np.ndim(values):
        missing = np.flatnonzero(np.asarray(pd.isna(values)).reshape(len(values), -1).any(axis=1))
        if len(missing):
            raise UsageError(
                f"Input y contains NaN: found {len(missing)} of {len(values)} targets missing, the first in row "
                f"{missing[0]}; expected {expected}: drop these rows."
            )
    column: np.ndarray = column_or_1d(y, warn=True)
    if len(column) != rows:
        raise UsageError(f"Found {rows} rows of X and {len(column)} of y; expected as many of both.")
    return column


def read_weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Return sample weights as numbers (n,). Raises `UsageError` for weights that no table may have."""
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"Found sample weights that are no numbers ({error}); expected numbers.") from None
    if weights.shape != (rows,):
        raise UsageError(f"Found sample weights of shape {weights.shape} and {rows} rows; expected one for each row.")
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise UsageError("Found sample weights that are negative or not finite; expected numbers of at least 0.")
    if not weights.any():
        raise UsageError("Found sample weights that are all zero; expected a weight above 0.")
    return weights
