"""Stages that other machines run: the order that a worker gets, its notes and its reply; none of them has data.

A worker pulls the plan and the artifacts from the remote store by the keys of the order, and pushes the result.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from msgspec import field

from mlnb.codec import Record
from mlnb.engine.plan import Planner
from mlnb.engine.stage_files import CellNote, ProgressNote
from mlnb.engine.stage_jobs import Executor, Job, OnCell, Outcome, OutcomeState
from mlnb.errors import error_class

LOCAL = "local"  # value of the setting `executor`: worker processes of this machine
OnProgress = Callable[[ProgressNote], None]


class StageOrder(Record, frozen=True, kw_only=True):
    """A stage that another machine is to run.

    Args:
        stage: Its name.
        key: Its stage key.
        recipe: Its recipe, by which the remote store has the plan.
        forced: Whether it runs although there is a result.
        remote: URL of the remote store.
        accesses: Digest, reader and purpose of each access to held-out artifacts so far; none unless it reads one.
    """

    stage: str
    key: str
    recipe: str
    forced: bool = False
    remote: str = ""
    accesses: tuple[tuple[str, str, str], ...] = ()


class OrderNote(Record, frozen=True, kw_only=True):
    """What a worker reports while it runs a stage: a cell that has started, or progress within it."""

    cell: CellNote | None = None
    progress: ProgressNote | None = None


class OrderReply(Record, frozen=True, kw_only=True):
    """How an order has ended.

    Args:
        state: How the execution of the notebook ended; finished: the remote store has the result.
        host: Name of the machine.
        cell: Index of the failed cell in the executed notebook, from 0.
        heading: The heading above the cell.
        message: Type and text of the exception.
        error: Name of the class in `mlnb.errors`; empty: another exception.
        notebook: Digest of the notebook with the failed cell, in the remote store; empty: there is none.
        warnings: Sentences for the user.
    """

    state: OutcomeState
    host: str = ""
    cell: int | None = None
    heading: str = ""
    message: str = ""
    error: str = ""
    notebook: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)

    def outcome(self) -> Outcome:
        """Return the outcome as a local executor would."""
        error = error_class(self.error) if self.error else None
        return Outcome(state=self.state, cell=self.cell, heading=self.heading, message=self.message, error=error)


class Dispatcher(ABC):
    """Has stages run by other machines, several at once when called from several threads."""

    @abstractmethod
    def dispatch(
        self, pipeline: str, planner: Planner, order: StageOrder, on_cell: OnCell, on_progress: OnProgress
    ) -> OrderReply:
        """Have a stage run to its end; no exception is raised for errors of the notebook or of a machine.

        Args:
            pipeline: Name of the pipeline.
            planner: The plan with the stage.
            order: What to run.
            on_cell: Called when a cell has started.
            on_progress: Called with progress within a cell.
        """

    @abstractmethod
    def interrupt(self) -> None:
        """End all running stages soon: each `dispatch` returns `interrupted`."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection to the machines."""

    def prepare(self, job: Job) -> bool:
        """Return that no job is prepared: inputs are known when a stage is ordered."""
        return False

    def discard(self, target: Path) -> None:  # noqa: B027 -- the same for all
        """Do nothing, as no job is prepared."""

    def trim(self) -> None:  # noqa: B027 -- the same for all
        """Do nothing, as this machine holds no memory for stages."""


AnyExecutor = Executor | Dispatcher
