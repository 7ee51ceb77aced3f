"""Checks that extensions of a project keep their contracts, for notebooks and pytest."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlnb.methods.encoding import encoder_checks
from mlnb.methods.encoding.custom_encoders import ENCODER, declare_encoder, load_column_encoder, read_files
from mlnb.methods.encoding.encoder_interface import ColumnEncoder
from mlnb.methods.extensions.extension_classes import ExtensionKind
from mlnb.methods.extensions.extension_notebooks import read_code
from mlnb.methods.metrics import metric_checks
from mlnb.methods.metrics.custom_metrics import METRIC, declare_metric, load_metric
from mlnb.methods.metrics.metric_interface import CustomMetric
from mlnb.methods.models.custom_families import (
    FAMILY,
    CustomFamily,
    custom_names,
    declare_family,
    find_custom,
    load_family,
)
from mlnb.methods.models.family_checks import ROWS, check_family, make_subject
from mlnb.methods.models.family_interface import ModelFamily
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.optional_families import OPTIONAL_FAMILIES
from mlnb.methods.models.search_spaces import set_families
from mlnb.methods.tables.project_sources import SOURCE, check_source, declare_source, load_source
from mlnb.methods.tables.source_interface import DataSource

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
    _require(FAMILY, source.name, source.file, problems)


def check_metric(metric: type[CustomMetric] | CustomMetric | Path | str) -> None:
    """Check a metric on small synthetic rows, and print the result and the time of one score.

    Checked are finite scores in the range, the same score for the same rows, the direction, one constant answer for
    all rows, and weights.

    Args:
        metric: its class, an object of it, or the path of its notebook.

    Raises:
        MetricError: a check failed; the message lists what was found and what to do.
    """
    source = load_metric(*_read(METRIC, metric)) if isinstance(metric, str | Path) else declare_metric(metric)
    problems = list[str]()
    for task in source.metric.tasks:
        checks = metric_checks.check_custom(source, task)
        failed = [check for check in checks if not check.passed]
        problems += [f"{task}, {check.check}: {check.problem}; {check.remedy}" for check in failed]
        if not failed:
            seconds = metric_checks.measure_time(source, task)
            print(f"{source.name}, {task}: {len(checks)} checks passed; a score in {1000 * seconds:.2f} ms")
    _require(METRIC, source.name, source.file, problems)


def check_column_encoder(
    encoder: type[ColumnEncoder] | ColumnEncoder | Path | str, root: Path | str | None = None
) -> None:
    """Check an encoder on its examples, and print the result and the latency of one value.

    Checked are the numbers of known and unknown values, the same encoder for the same rows, saved and loaded encoders,
    one row against a batch, and that the values are left as they are.

    Args:
        encoder: its class, an object of it, or the path of its notebook.
        root: folder of the project, where the encoder's files are; None: that of the notebook, or this folder.

    Raises:
        ColumnEncoderError: a check failed; the message lists what was found and what to do.
    """
    is_notebook = isinstance(encoder, str | Path)
    source = (
        load_column_encoder(*_read(ENCODER, encoder)) if isinstance(encoder, str | Path) else declare_encoder(encoder)
    )
    home = Path(root) if root is not None else Path(str(encoder)).resolve().parents[2] if is_notebook else Path.cwd()
    files = {name: (home / file.path).read_bytes() for name, file in read_files(source, home).items()}
    problems = list[str]()
    for kind in source.encoder.kinds:
        checks = encoder_checks.check_custom(source, kind, files)
        failed = [check for check in checks if not check.passed]
        problems += [f"{kind}, {check.check}: {check.problem}; {check.remedy}" for check in failed]
        if not failed:
            seconds = encoder_checks.measure_time(source, kind, files)
            print(f"{source.name}, {kind}: {len(checks)} checks passed; one value in {1000 * seconds:.2f} ms")
    _require(ENCODER, source.name, source.file, problems)


def check_data_source(source: type[DataSource] | DataSource | Path | str, root: Path | str | None = None) -> None:
    """Check a source by reading it several times, and print the result with its rows and the time of a read.

    Checked are the version, the same rows for the same version, and that each column has values of one type.

    Args:
        source: its class, an object of it, or the path of its notebook.
        root: folder of the project; None: that of the notebook, or this folder.

    Raises:
        DataSourceError: a check failed; the message lists what was found and what to do.
    """
    is_notebook = isinstance(source, str | Path)
    loaded = load_source(*_read(SOURCE, source)) if isinstance(source, str | Path) else declare_source(source)
    home = Path(root) if root is not None else Path(str(source)).resolve().parents[2] if is_notebook else Path.cwd()
    checks = check_source(loaded, home)
    problems = [f"{check.check}: {check.problem}; {check.remedy}" for check in checks if not check.passed]
    _require(SOURCE, loaded.name, loaded.file, problems)
    started = time.perf_counter()
    rows = len(loaded.read(home))
    print(f"{loaded.name}: {len(checks)} checks passed; {rows:,} rows in {time.perf_counter() - started:.2f} s")


def _read(kind: ExtensionKind, notebook: Path | str) -> tuple[str, str]:
    """Return the code of a notebook in a folder such as `nbs/metrics`, and its name."""
    path = Path(notebook).resolve()
    return read_code(kind, path, path.parent.parent.parent)


def _require(kind: ExtensionKind, name: str, file: str, problems: Sequence[str]) -> None:
    """Raise the kind's error when there are problems."""
    if problems:
        where = f"{file}: " if file else ""
        lines = "\n  ".join(problems)
        raise kind.error(f"{where}{kind.title} {name!r} fails {len(problems)} checks:\n  {lines}")


def _find(family: type[ModelFamily] | ModelFamily | Path | str) -> CustomFamily:
    """Return the family. Raises `ModelFamilyError`."""
    if isinstance(family, str) and (present := find_custom(family)) is not None:
        return present
    if isinstance(family, str | Path):
        return load_family(*_read(FAMILY, family))
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
