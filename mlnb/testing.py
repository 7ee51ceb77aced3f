"""Checks that extensions of a project keep their contracts, for notebooks and pytest."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.errors import ModelFamilyError
from mlnb.methods.models.custom_families import CustomFamily, custom_names, declare_family, find_custom, load_family
from mlnb.methods.models.family_checks import ROWS, check_family, make_subject
from mlnb.methods.models.family_interface import ModelFamily
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.optional_families import OPTIONAL_FAMILIES
from mlnb.methods.models.project_families import read_family_code
from mlnb.methods.models.search_spaces import set_families

TIMED = 30  # predictions of one row, of which the median is printed


def check_model_family(
    family: type[ModelFamily] | ModelFamily | Path | str,
    tasks: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
) -> None:
    """Check a model family on small synthetic tables, and print the result and the latency of one row.

    Checked are the shape of predictions, missing values, fits with the same seed, saved and loaded models, one row
    against a batch, an absent class, sample weights, and the ends of the ranges.

    Args:
        family: its class, an object of it, the path of its notebook, or the name of an optional family.
        tasks: problem types; none: those that the family declares.
        params: hyperparameters that differ from the defaults.

    Raises:
        ModelFamilyError: a check failed; the message lists what was found and what to do.
        MissingExtra: the library of an optional family is not installed.
    """
    source, problems = _find(family), list[str]()
    registered = [find_custom(name) for name in custom_names(optional=False)]
    if type(OPTIONAL_FAMILIES.get(source.name)) is not type(source.family):
        set_families([source])
    try:
        for task in tasks or source.family.tasks:
            checks = check_family(source.name, task, params, ranges=True)
            failed = [check for check in checks if not check.passed]
            problems += [f"{task}, {check.check}: {check.problem}; {check.remedy}" for check in failed]
            if not failed:
                latency = _describe_latency(source.name, task, params)
                print(f"{source.name}, {task}: {len(checks)} checks passed; {latency}")
    finally:
        set_families([one for one in registered if one is not None])
    if problems:
        where = f"{source.file}: " if source.file else ""
        lines = "\n  ".join(problems)
        raise ModelFamilyError(f"{where}model family {source.name!r} fails {len(problems)} checks:\n  {lines}")


def _find(family: type[ModelFamily] | ModelFamily | Path | str) -> CustomFamily:
    """Return the family. Raises `ModelFamilyError`."""
    if isinstance(family, str) and (present := find_custom(family)) is not None:
        return present
    if isinstance(family, str | Path):
        path = Path(family).resolve()
        return load_family(*read_family_code(path, path.parent.parent.parent))
    return declare_family(family)


def _describe_latency(name: str, task: str, params: Mapping[str, Any] | None) -> str:
    """Return the median time of the prediction of one row, and the time of a fit, as text."""
    subject = make_subject(name, task, params or {})
    started = time.perf_counter()
    model = subject.fit()
    seconds = time.perf_counter() - started
    times = []
    for at in range(TIMED):
        started = time.perf_counter()
        predict(model, subject.X[at : at + 1])
        times.append(time.perf_counter() - started)
    return f"one row in {1000 * float(np.median(times)):.2f} ms, a fit of {ROWS} rows in {1000 * seconds:.0f} ms"
