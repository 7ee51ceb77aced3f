"""Steps of a plan, and the stages that a user selects."""

from collections.abc import Iterable
from enum import StrEnum

from mlnb.codec import Record
from mlnb.engine.graph import Graph
from mlnb.engine.run_records import KeyInputs, StageResult
from mlnb.engine.snapshot_keys import SnapshotKeys


class StepAction(StrEnum):
    """What happens to a stage."""

    RUN = "run"
    PENDING = "pending"  # run or reuse: known once its inputs are
    REUSE = "reuse"
    INPUT = "input"  # not selected; its stored outputs are read by a stage that is
    SKIP = "skip"  # not selected, and no selected stage depends on it


class Step(Record, frozen=True, kw_only=True):
    """What happens to one stage.

    Args:
        name: The stage.
        action: What happens.
        reason: Why.
        key: Stage key; None before the inputs are known.
        key_inputs: What the key is the digest of.
        result: The stored result that is used.
        snapshots: Keys of the states that it passes through.
        restore_cell: Index of the cell at which it continues from a snapshot; None: it starts at the first cell.
    """

    name: str
    action: StepAction
    reason: str
    key: str | None = None
    key_inputs: KeyInputs | None = None
    result: StageResult | None = None
    snapshots: SnapshotKeys | None = None
    restore_cell: int | None = None

    @property
    def restore_key(self) -> str | None:
        """Key of the snapshot that it continues from, or None."""
        if self.snapshots is None or self.restore_cell is None:
            return None
        return self.snapshots.before[self.restore_cell]


class Selection(Record, frozen=True, kw_only=True):
    """The selected stages, and those that run even when nothing has changed."""

    selected: frozenset[str]
    forced: frozenset[str] = frozenset()


def select(
    graph: Graph,
    upto: str | None = None,
    since: str | None = None,
    only: Iterable[str] = (),
    force: Iterable[str] | None = None,
) -> Selection:
    """Return the stages that the options select.

    Args:
        graph: The pipeline.
        upto: A stage: it and its ancestors are selected.
        since: A stage: it and its descendants are selected.
        only: Stages: no others are selected.
        force: Stages that run even when nothing has changed; an empty list means all; None means none.

    Raises:
        GraphError: A name is no stage of the pipeline.
    """
    selected = set(graph.stages)
    if upto is not None:
        selected &= graph.ancestors(graph.check_name(upto)) | {upto}
    if since is not None:
        selected &= graph.descendants(graph.check_name(since)) | {since}
    names = [graph.check_name(name) for name in only]
    if names:
        selected &= set(names)
    forced = {graph.check_name(name) for name in force or ()} if force is not None else set()
    return Selection(selected=frozenset(selected), forced=frozenset(forced or (selected if force is not None else ())))
