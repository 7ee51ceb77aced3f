"""What the pipeline asks of an executor, and what comes back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """One notebook to execute."""

    stage: str
    source: Path
    target: Path
    parameters: dict[str, Any]
    folder: Path  # working directory of the notebook
    environment: dict[str, str] = field(default_factory=dict)  # added to this process's own
    secrets: dict[str, str] = field(default_factory=dict)  # name -> value that must reach no output
    cell_timeout: float | None = None  # seconds
    stage_timeout: float | None = None  # seconds
    opens: int | None = None  # cell before which it waits when it is prepared
    keeping: dict[str, Any] | None = (
        None  # which states are kept, and which to go on from: mlnb.kernels.driver.snapshot_policy.Keeping
    )


@dataclass(frozen=True)
class Outcome:
    """How it ended: `finished`, or `failed`, `timeout`, `died`, `interrupted` with where and why."""

    state: str
    cell: int | None = None  # index of the cell in the notebook, from 0
    heading: str = ""
    cause: str = ""  # "ValueError: what it said"
    went_on: bool = False  # from a state that was kept

    @property
    def kind(self) -> str:
        """The name of the error that a stage ended with."""
        named = self.cause.partition(":")[0]
        if named in ("GateFailed", "StoreFull", "StoreCorrupted", "ContractBroken"):
            return named
        return {"timeout": "CellTimeout", "died": "KernelDied", "interrupted": "Interrupted"}.get(
            self.state, "CellFailed"
        )


OnCell = Callable[[int, int, str], None]  # (cell's index, number of cells, heading)


class Executor(Protocol):
    """Executes notebooks, several at once when asked from several threads."""

    def prepare(self, job: Job) -> bool:
        """Execute a job ahead of need, up to the cell that opens its stage, where `execute` then goes on.

        Returns whether there was room for it.
        """

    def discard(self, target: Path) -> None:
        """End what was prepared for a target and is not wanted any more, if anything was."""

    def trim(self) -> None:
        """Let go of what only saves time: memory is wanted."""

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Run one job to its end; never raises for what the notebook does."""

    def interrupt(self) -> None:
        """End what runs, soon: each `execute` returns `interrupted`."""

    def close(self) -> None:
        """Let go of every process."""
