"""The failed stage of a run, and the state before its failed cell, where a snapshot keeps it."""

from mlnb.engine.project import Project
from mlnb.engine.run_records import RunRecord
from mlnb.engine.runs import Run
from mlnb.engine.snapshot_keys import LiveSnapshot
from mlnb.engine.stage_files import StageInputs, inputs_path, read_record
from mlnb.errors import UnknownRun
from mlnb.executors import live_snapshots
from mlnb.suggestions import did_you_mean


def failed_stage(record: RunRecord) -> str:
    """Return the first stage of a run that failed. Raises `UnknownRun` when none did."""
    if record.failure is None:
        raise UnknownRun(f"No stage of run {record.id} failed; name the stage: mlnb debug {record.id} STAGE.")
    return record.failure.stage


def find_snapshot(project: Project, run: Run, stage: str, cell: int | None) -> LiveSnapshot:
    """Return the last snapshot of a stage before a cell.

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
    return alive[keys[max(cells)]]
