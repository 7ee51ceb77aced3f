"""The results of a run, as trackers, reports and commands show them."""

import io
import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.codec import Record, convert, replace
from mlnb.engine.run_records import ParameterValue, RunRecord, RunState, StageRecord, StageState
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError, StageError, StoreCorrupted, UsageError, error_class
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.gates import Gate
from mlnb.tracking.artifact_views import BestTrial, Trial, V, load_record, load_view, warn_unusable

if TYPE_CHECKING:
    import pyarrow

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended, as shells report it
OWN_INDEX = "__index_level_0__"  # column in which pandas stores an index


class Verdict(Record, frozen=True, kw_only=True):
    """The result of a run; None for what it lacks.

    Args:
        winner: Model family that won the search.
        metric: The metric that decides.
        value, low, high: Its value on the test set, with interval.
        gate: Whether the gate passed.
    """

    winner: str | None = None
    metric: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    gate: bool | None = None


class Table(NamedTuple):
    """A table artifact: its columns, and the values of each row."""

    columns: list[str]
    rows: list[list[Any]]


def parameters(run: Run) -> dict[str, ParameterValue]:
    """Return every parameter as `stage.name`."""
    return {
        f"{stage}.{name}": value for stage, record in run.stages.items() for name, value in record.parameters.items()
    }


def parameter_values(run: Run) -> dict[str, Any]:
    """Return the value of every parameter by `stage.name`."""
    return {name: parameter.value for name, parameter in parameters(run).items()}


def profile_values(run: Run) -> str:
    """Return the parameters that a run has from its profile, such as `tune.trials = 2, plots = false`; empty for none.

    A parameter that several stages have from the profile is named once, without a stage.
    """
    origin, stages = f"profile {run.record.profile}", dict[tuple[str, str], list[str]]()
    for full_name, one in parameters(run).items():
        if one.origin == origin:
            stage, _, name = full_name.partition(".")
            stages.setdefault((name, json.dumps(one.value)), []).append(stage)
    names = {key: key[0] if len(owners) > 1 else f"{owners[0]}.{key[0]}" for key, owners in stages.items()}
    return ", ".join(f"{name} = {key[1]}" for key, name in names.items())


def shown_stages(run: Run) -> dict[str, StageRecord]:
    """Return the stages of a run; those that wait in a run that has ended are skipped, as they will never start."""
    if run.state == RunState.RUNNING:
        return run.stages
    return {
        name: replace(record, state=StageState.SKIPPED) if record.state == StageState.WAITING else record
        for name, record in run.stages.items()
    }


def metrics(run: Run) -> dict[str, float]:
    """Return every logged number as `stage.name`."""
    return {f"{stage}.{name}": value for stage, record in run.stages.items() for name, value in record.metrics.items()}


def versions(run: Run) -> dict[str, str]:
    """Return the versions of the libraries that the stages import, by name."""
    merged = {name: version for record in run.stages.values() for name, version in record.versions.items()}
    return dict(sorted(merged.items(), key=lambda item: item[0].lower()))


def read_table(run: Run, artifact: str) -> Table:
    """Return a table artifact without importing pandas; empty without one, and with a warning when it is damaged."""
    table = _read_arrow(run, artifact)
    if table is None:
        return Table([], [])
    columns = [name for name in table.column_names if name != OWN_INDEX]
    values = [table.column(name).to_pylist() for name in columns]
    return Table(columns, [list(row) for row in zip(*values, strict=True)])


def read_columns(run: Run, artifact: str, names: Iterable[str]) -> dict[str, list[Any]]:
    """Return columns of a table artifact without importing pandas; without those that it does not have."""
    table = _read_arrow(run, artifact)
    if table is None:
        return {}
    return {name: table.column(name).to_pylist() for name in names if name in table.column_names}


def _read_arrow(run: Run, artifact: str) -> "pyarrow.Table | None":
    """Return a table artifact; None without one, and with a warning when it is damaged."""
    output = run.output(artifact)
    if output is None or output.format != "table":
        return None
    import pyarrow.parquet  # takes longer than a command without tables may

    try:
        data = io.BytesIO(run.project.store.read(output.digest))
        return pyarrow.parquet.ParquetFile(data).read()  # `read_table` of PyArrow imports pandas
    except (StoreCorrupted, pyarrow.ArrowException, OSError) as error:
        warn_unusable(run, artifact, error)
        return None


def read_rows(run: Run, artifact: str, kind: type[V]) -> list[V]:
    """Return the rows of a table artifact; empty without one, and with a warning when it is damaged."""
    table = read_table(run, artifact)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    try:
        return convert(rows, list[kind], f"artifact {artifact!r}")  # type: ignore[valid-type]
    except SchemaError as error:
        warn_unusable(run, artifact, error)
        return []


def read_trials(run: Run) -> list[Trial]:
    """Return the trials of the run's hyperparameter search; empty when it has none."""
    return read_rows(run, "trials", Trial)


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def verdict(run: Run) -> Verdict:
    """Return the result of a run."""
    test, best, gate = (
        load_record(run, "metrics", Metrics),
        load_view(run, "best", BestTrial),
        load_record(run, "gate", Gate),
    )
    deciding = test.deciding if test else None
    return Verdict(
        winner=best.family if best else None,
        metric=deciding.name if deciding else best.metric if best else None,
        value=deciding.value if deciding else None,
        low=deciding.low if deciding else None,
        high=deciding.high if deciding else None,
        gate=gate.passed if gate else None,
    )


def exit_code(record: RunRecord) -> int:
    """Return the exit code of `mlnb run`: 0 when the run finished, that of the first error, 130 after Ctrl-C."""
    if record.state == RunState.FINISHED:
        return 0
    if record.state == RunState.INTERRUPTED:
        return INTERRUPTED
    failure = record.failure
    if failure is None or failure.error == KeyboardInterrupt.__name__:
        return StageError.exit_code
    return stage_exit_code(failure.error)


def stage_exit_code(error: str) -> int:
    """Return the exit code of a stage that failed with the class of that name in `mlnb.errors`.

    A usage error inside of a stage is a failed stage like any other exception.
    """
    raised = error_class(error)
    return StageError.exit_code if raised.exit_code == UsageError.exit_code else raised.exit_code
