"""The failed stage of a run, and the state before its failed cell, where a snapshot keeps it."""

from collections.abc import Iterable
from typing import NamedTuple

from mlnb.engine.notebook_document import DocumentCell, read_document
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunRecord
from mlnb.engine.runs import Run
from mlnb.engine.snapshot_keys import LiveSnapshot
from mlnb.engine.stage_files import StageInputs, inputs_path, read_record
from mlnb.errors import UnknownRun
from mlnb.executors import live_snapshots
from mlnb.suggestions import did_you_mean

INJECTED = "injected-parameters"  # tag of the cell that papermill adds
MARKER = "papermill-error-cell-tag"  # of the cells with which papermill leads to the error


class StateBefore(NamedTuple):
    """The state before a cell: a snapshot, and the code that ran between it and the cell, which has to run again.

    Args:
        cell: Index of the cell in the notebook's source.
        snapshot: The snapshot.
        code: Sources of the cells between.
    """

    cell: int
    snapshot: LiveSnapshot
    code: tuple[str, ...]


def failed_stage(record: RunRecord) -> str:
    """Return the first stage of a run that failed. Raises `UnknownRun` when none did."""
    if record.failure is None:
        raise UnknownRun(f"No stage of run {record.id} failed; name the stage: mlnb debug {record.id} STAGE.")
    return record.failure.stage


def executed_cells(run: Run, stage: str) -> list[DocumentCell]:
    """Return the cells of a stage's executed notebook, at the indexes that the run's record has."""
    path = run.notebook_file(stage)
    cells: Iterable[DocumentCell] = read_document(path.read_bytes(), path.name).cells if path else ()
    return [cell for cell in cells if MARKER not in cell.tags]


def find_state(project: Project, run: Run, stage: str, cell: int | None) -> StateBefore:
    """Return the state of a stage before a cell, from the last snapshot before it.

    Args:
        project: The project.
        run: The run.
        stage: Name of the stage.
        cell: Index of the cell in the executed notebook; None: the failed cell.

    Raises:
        UnknownRun: The run has no such stage, or no snapshot of it is alive.
    """
    if stage not in run.stages:
        names = list(run.stages)
        hint = did_you_mean(stage, names)
        raise UnknownRun(f"Run {run.id} has no stage {stage!r}; it has {', '.join(names)}.{hint}")
    error = run.stages[stage].error
    last = cell if cell is not None else error.cell if error else None
    inputs = read_record(StageInputs, inputs_path(run.folder / "stages", stage))
    keys = inputs.snapshots if inputs else {}
    alive = live_snapshots.find_all(project)
    cells = [index for index, key in keys.items() if key in alive and (last is None or index < last)]
    if not cells:
        values = {name: project.settings.read(name).value for name in ("snapshots", "snapshot_minutes")}
        settings = ", ".join(f"{name} = {value}" for name, value in values.items())
        raise UnknownRun(
            f"Stage {stage!r} of run {run.id} has no snapshot: none was kept, or it has ended ({settings}). "
            "`mlnb kernels status` lists the snapshots; `mlnb run` makes one again when the stage fails again."
        )
    snapshot = alive[keys[max(cells)]]
    source = [executed for executed in executed_cells(run, stage)[:last] if INJECTED not in executed.tags]
    between = source[snapshot.cell :] if last is not None else []
    code = tuple(executed.source for executed in between if executed.kind == "code")
    return StateBefore(snapshot.cell + len(between), snapshot, code)
