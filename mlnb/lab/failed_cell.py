"""The failed cell of a run: where it is in the stage's notebook, the outputs before it, and its state to debug."""

from pathlib import Path
from typing import Any

from mlnb.codec import Record
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.runs import Run
from mlnb.errors import UnknownRun
from mlnb.executors import live_snapshots
from mlnb.executors.failed_stages import INJECTED, executed_cells, failed_stage, find_state
from mlnb.kernels.driver import jupyter_kernel
from mlnb.lab.stage_views import notebook_path

KERNEL = "mlnb-debug"


class FailedCell(Record, frozen=True, kw_only=True):
    """A cell that failed.

    Args:
        run, stage: Where.
        notebook: Path of the stage's notebook relative to the server's folder; empty when it is not in it.
        cell: Id of the cell; empty when the error was outside of cells.
        source: Its source when it failed.
        message: Type and text of the exception.
    """

    run: str
    stage: str
    notebook: str
    cell: str
    source: str
    message: str


class DebugSession(Record, frozen=True, kw_only=True):
    """What `debug` opens.

    Args:
        failed: The failed cell.
        outputs: Outputs of the cells that were executed, by cell id, as in the executed notebook.
        kernel: Name of the kernel that continues from the state before the cell; empty when none is kept.
        note: What the kernel has, or why there is none.
    """

    failed: FailedCell
    outputs: dict[str, list[Any]]
    kernel: str
    note: str


def find_failed_cell(folder: Path, run: Run, stage: str = "") -> FailedCell:
    """Return the failed cell of a run.

    Args:
        folder: The server's.
        run: The run.
        stage: The stage; empty: the first one that failed.

    Raises:
        UnknownRun: No stage failed, or not this one.
    """
    stage = stage or failed_stage(run.record)
    error = run.stages[stage].error if stage in run.stages else None
    if error is None:
        raise UnknownRun(f"Stage {stage!r} of run {run.id} has not failed; there is nothing to debug.")
    cells = executed_cells(run, stage)
    inside = error.cell is not None and error.cell < len(cells)
    cell = cells[error.cell] if inside and error.cell is not None else None
    notebook = read_notebooks(run.project.notebooks, run.project.source_cache).get(stage)
    return FailedCell(
        run=run.id,
        stage=stage,
        notebook=notebook_path(folder, notebook),
        cell=cell.id if cell else "",
        source=cell.source if cell else "",
        message=error.message,
    )


def open_session(folder: Path, kernels: Path, run: Run, stage: str = "") -> DebugSession:
    """Return what `debug` opens; a kernel that continues from the snapshot is installed when there is one.

    Args:
        folder: The server's.
        kernels: Folder in which the server finds kernels.
        run: The run.
        stage: The stage; empty: the first one that failed.

    Raises:
        UnknownRun: No stage failed, or not this one.
    """
    failed = find_failed_cell(folder, run, stage)
    outputs = {
        cell.id: list(shown)
        for cell in executed_cells(run, failed.stage)
        if INJECTED not in cell.tags and isinstance(shown := cell.rest.get("outputs"), list) and shown
    }
    try:
        state = find_state(run.project, run, failed.stage, None)
    except UnknownRun as error:
        return DebugSession(failed=failed, outputs=outputs, kernel="", note=str(error))
    variables = live_snapshots.restore_environment(run.project, state.snapshot, failed.notebook, state.code)
    jupyter_kernel.install(kernels, KERNEL, f"mlnb debug: {failed.stage}", **variables)
    note = f"The kernel has the variables of run {run.id} before its cell {state.cell + 1}."
    return DebugSession(failed=failed, outputs=outputs, kernel=KERNEL, note=note)
