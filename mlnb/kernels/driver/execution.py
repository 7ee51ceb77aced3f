"""Options of one execution of a notebook in addition to papermill's, and its result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlnb.kernels.protocol.jobs import SnapshotPlan

OnCell = Callable[[int, int, str], None]  # index of the cell, number of cells, heading above it


@dataclass
class Execution:
    """Options of one execution, passed to papermill as `execution=`, and its result.

    `on_cell` is called as each cell starts. The values of `secrets` are replaced by their names in outputs. Before the
    source cell `pause_before`, `resume` is called; it waits, and returns the snapshots to take from there.
    `on_resume` is called when the notebook goes on.
    `on_fallback` gets the reason when the standard engine runs the notebook although the settings ask for warm kernels.

    Result: `restored` is true when the notebook continued from a snapshot.
    """

    snapshots: SnapshotPlan | None = None
    on_cell: OnCell | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    pause_before: int | None = None
    resume: Callable[[], SnapshotPlan | None] | None = None
    on_fallback: Callable[[str], None] | None = None
    on_resume: Callable[[], None] = lambda: None
    restored: bool = False
