"""Snapshot keys: names of the states that a stage passes through, by which a kept state is found again.

Equal keys mean equal states: a key is the digest of all code cells before it, the parameters and the inputs. Prose,
layout and later cells are not part of it.
"""

from collections.abc import Callable, Mapping

from mlnb.codec import Record, to_json
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.digests import canonical_code, digest_code, digest_value
from mlnb.engine.notebook import StageNotebook, cell_imports
from mlnb.engine.project import Project
from mlnb.engine.run_records import KeyInputs
from mlnb.engine.runs import Run
from mlnb.engine.stage_jobs import SnapshotRequest


class LiveSnapshot(Record, frozen=True, kw_only=True):
    """A state that a process keeps in memory.

    Args:
        key: Snapshot key.
        cell: Index of the next cell, in the notebook's source.
        stage, run: What it belongs to.
        scratch: Key of the stage's scratch folder.
        log: File with the outputs of the cells before it.
        parent: Key of the preloaded process that owns it.
    """

    key: str
    cell: int
    stage: str
    run: str
    scratch: str
    log: str
    parent: str


LiveSnapshots = Mapping[str, LiveSnapshot]  # by snapshot key
FindSnapshots = Callable[[Project], LiveSnapshots]


class SnapshotKeys(Record, frozen=True, kw_only=True):
    """The states of one stage that may be kept.

    Args:
        family: Digest of the stage with its parameters and inputs, whatever its code.
        before: Snapshot key of the state before each cell, by index of the cell.
        code_cells: Indices of the code cells that are not empty.
    """

    family: str
    before: dict[int, str]
    code_cells: tuple[int, ...]


def snapshot_keys(stage: StageNotebook, inputs: KeyInputs, sources: CodeSources) -> SnapshotKeys:
    """Return the snapshot keys of a stage: before each `#| stage` cell, starting with the one that opens the stage."""
    code_cells = tuple(cell.index for cell in stage.cells if canonical_code(cell.source) is not None)
    values = to_json(inputs)
    family = digest_value([stage.name, values["parameters"], values["inputs"], values["python"]])
    before: dict[int, str] = {}
    imports: set[str] = set()
    earlier: list[str] = []
    for cell in stage.cells:
        if "injected-parameters" in cell.tags:  # an executed notebook, whose cells are not those of the source
            return SnapshotKeys(family=family, before={}, code_cells=code_cells)
        if cell.has("stage") and cell.index >= stage.opening_cell:  # an earlier cell has no state worth keeping
            before[cell.index] = digest_value([family, digest_code(earlier), *sources.dependencies(imports)])
        if "parameters" not in cell.tags:
            earlier.append(cell.source)
        imports |= cell_imports(cell.source)
    return SnapshotKeys(family=family, before=before, code_cells=code_cells)


def latest_cell(keys: SnapshotKeys, live: LiveSnapshots) -> int | None:
    """Return the last cell whose state before it is kept by a live process, or None."""
    return max((cell for cell, key in keys.before.items() if key in live), default=None)


def snapshot_request(
    run: Run, stage: str, keys: SnapshotKeys, scratch: str, restored: LiveSnapshot | None
) -> SnapshotRequest:
    """Return which states of a stage are kept, and the one to restore.

    Args:
        run: The run.
        stage: Name of the stage.
        keys: Its snapshot keys.
        scratch: Key of its scratch folder.
        restored: The snapshot to restore, or None.
    """
    settings = run.project.settings
    return SnapshotRequest(
        keys=keys.before,
        code_cells=keys.code_cells,
        log=str(run.folder / "stages" / f"{stage}.outputs.jsonl"),
        family=keys.family,
        minutes=settings.snapshot_minutes,
        seconds=settings.snapshot_seconds,
        bytes=settings.snapshot_bytes,
        stage=stage,
        run=run.id,
        scratch=scratch,
        keep_finished=settings.snapshots == "all",
        restore_key=restored.key if restored else None,
        restore_log=restored.log if restored else "",
    )
