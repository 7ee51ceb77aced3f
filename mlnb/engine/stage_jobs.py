"""Jobs for an executor, and their outcomes."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.run_records import StageFailure
from mlnb.engine.transient_errors import is_transient
from mlnb.errors import CellFailed, CellTimeout, KernelDied, MlnbError


class SnapshotRequest(Record, frozen=True, kw_only=True):
    """Which states of a notebook are kept as snapshots, and the one to restore.

    Args:
        keys: Snapshot key of the state before each cell, by index of the cell.
        code_cells: Indices of the code cells that are not empty.
        log: File that the outputs of the cells are written to.
        family: The stage with its parameters and inputs, whatever its code; its snapshots are dropped together.
        minutes: How long a snapshot is kept.
        seconds: How long cells take after a snapshot before the next one is taken.
        bytes: Memory that all snapshots may take.
        stage, run, scratch: The stage, the run, and the key of the scratch folder.
        keep_finished: Whether snapshots are kept when the notebook finishes without error.
        restore_key: Snapshot to restore; None: start at the first cell.
        restore_log: The log of that snapshot.
    """

    keys: dict[int, str]
    code_cells: tuple[int, ...]
    log: str
    family: str
    minutes: float
    seconds: float
    bytes: float
    stage: str
    run: str
    scratch: str
    keep_finished: bool = False
    restore_key: str | None = None
    restore_log: str = ""


class Job(Record, frozen=True, kw_only=True):
    """One notebook to execute.

    Args:
        stage: Name of the stage.
        source: The notebook.
        target: Where the executed notebook is written.
        parameters: Values to inject.
        folder: Working directory of the kernel.
        environment: Environment variables added to those of the executor.
        secrets: Names and values that are removed from outputs.
        cell_timeout, stage_timeout: Limits in seconds; None: no limit.
        opening_cell: Index of the cell before which a prepared notebook waits.
        snapshots: Which states are kept, and the one to restore; None: none.
    """

    stage: str
    source: Path
    target: Path
    parameters: dict[str, Any]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    cell_timeout: float | None = None
    stage_timeout: float | None = None
    opening_cell: int | None = None
    snapshots: SnapshotRequest | None = None


class OutcomeState(StrEnum):
    """How the execution of a notebook ended."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMEOUT = "timeout"
    DIED = "died"
    INTERRUPTED = "interrupted"


class Outcome(Record, frozen=True, kw_only=True):
    """How the execution of a notebook ended, and where.

    Args:
        state: How it ended.
        cell: Index of the cell in the executed notebook, from 0.
        heading: The heading above the cell.
        message: Type and text of the exception, as "ValueError: too few rows".
        error: Our own exception class that was raised, from the class object; None for any other exception.
        transient: Whether the exception is transient, from its object.
        restored: Whether it restored from a snapshot.
    """

    state: OutcomeState
    cell: int | None = None
    heading: str = ""
    message: str = ""
    error: type[MlnbError] | None = None
    transient: bool = False
    restored: bool = False

    @property
    def error_class(self) -> type[MlnbError]:
        """The class of `mlnb.errors` whose exit code the command ends with."""
        by_state = {OutcomeState.TIMEOUT: CellTimeout, OutcomeState.DIED: KernelDied}
        return self.error or by_state.get(self.state, CellFailed)

    def as_failure(self, stage: str, notebook: str | None) -> StageFailure:
        """Return the failure of a stage for its record; `notebook` is the path in the run's folder."""
        interrupted = self.state == OutcomeState.INTERRUPTED
        return StageFailure(
            error=KeyboardInterrupt.__name__ if interrupted else self.error_class.__name__,
            stage=stage,
            cell=self.cell,
            heading=self.heading,
            message=self.message,
            notebook=notebook,
        )


def failed_with(error: Exception, own: type[MlnbError] | None = None) -> Outcome:
    """Return the outcome of an exception in this process."""
    message = f"{type(error).__name__}: {error}"
    return Outcome(state=OutcomeState.FAILED, message=message, error=own, transient=is_transient(error))


OnCell = Callable[[int, int, str], None]  # index of the cell, number of cells, heading


class Executor(Protocol):
    """Executes notebooks, several at once when called from several threads."""

    def prepare(self, job: Job) -> bool:
        """Execute a job up to the cell that opens its stage; `execute` continues from there.

        Returns:
            Whether there was a free worker.
        """

    def discard(self, target: Path) -> None:
        """End the prepared job for a target, if there is one."""

    def trim(self) -> None:
        """Release memory that only saves time."""

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Execute a job to its end; no exception is raised for errors of the notebook."""

    def interrupt(self) -> None:
        """End all running jobs soon: each `execute` returns `interrupted`."""

    def close(self) -> None:
        """End all processes."""
