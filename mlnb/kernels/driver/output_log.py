"""The log of what cells have shown, which a notebook restored from a snapshot shows again for cells that do not rerun.

It is written as cells end, because later cells may change earlier outputs. Each line is a JSON object: the outputs of a
cell, or the mark of a snapshot with the displays and widgets of that moment.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import from_dict

from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.jobs import SnapshotPlan
from mlnb.kernels.protocol.messages import Message, SnapshotInfo, decode, encode
from mlnb.redaction import redact_outputs, redact_widgets

INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds
TIMING = ("papermill", "execution")  # keys of a cell's metadata with its times and status


class CellOutputs(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """What a cell had shown: nbformat's outputs and execution count, and the metadata of `TIMING`."""

    cell: str
    outputs: list[Any]
    execution_count: int | None
    metadata: dict[str, Any]


class SnapshotMark(Message, frozen=True, kw_only=True, tag_field="type", tag=True):
    """nbclient's memory when a snapshot was taken.

    `displays` maps display ids to (cell, indices of outputs), `widgets` and `buffers` comm ids to what nbclient has.
    """

    snapshot: str
    displays: dict[str, list[tuple[str, list[int]]]]
    widgets: dict[str, Any]
    buffers: dict[str, list[tuple[list[Any], Any]]]


class OutputLog:
    """Writes what the cells of one notebook show, and restores what those that do not rerun had shown.

    Args:
        plan: which snapshots are taken and restored.
        cells: of the executed notebook, among them the one that papermill adds.
        secrets: name -> value; each value is replaced by its name in what is written.
    """

    def __init__(self, plan: SnapshotPlan, cells: list[Any], secrets: Mapping[str, str]) -> None:
        self.plan = plan
        self.secrets = secrets
        self.source_cells = source_cells(cells)
        self.names = _cell_names(cells, self.source_cells, plan.code_cells)  # index -> name in the log
        self.changed: set[int] = set()  # indices of cells whose outputs changed since they were written
        self.logged, self.mark = _read(plan.restore_log, plan.restore)
        self.first = self._first_to_run()
        self._file: Any = None

    def _first_to_run(self) -> int:
        """Return the index of the first cell that runs after restoring; 0 when nothing can be restored."""
        if self.mark is None:
            return 0
        matches = (i for i, n in enumerate(self.source_cells) if self.plan.snapshots.get(n) == self.plan.restore)
        return next(matches, 0)

    def snapshot_id(self, index: int) -> str | None:
        """Return the id of the snapshot to take before a cell, None when there is none to take."""
        return self.plan.snapshots.get(self.source_cells[index])

    def snapshot_info(self, index: int) -> SnapshotInfo:
        """Return the description of the snapshot before a cell."""
        cell, plan = self.source_cells[index], self.plan
        return SnapshotInfo(
            id=plan.snapshots[cell],
            cell=cell,
            group=plan.group,
            output_log=plan.output_log,
            ttl_minutes=plan.ttl_minutes,
            max_bytes=plan.max_bytes,
            labels=plan.labels,
        )

    def write(self, index: int, client: Any) -> None:
        """Write what the cells before `index` have shown, and a mark for the snapshot there."""
        if self._file is None:
            Path(self.plan.output_log).parent.mkdir(0o700, parents=True, exist_ok=True)
            handle = os.open(self.plan.output_log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            self._file = open(handle, "wb")  # noqa: SIM115 -- open as long as the notebook runs
            self.changed = set(range(index + 1))
        for before in sorted(self.changed):
            cell, name = client.nb.cells[before], self.names.get(before)
            if before < index and name is not None:
                timing = {key: cell.metadata[key] for key in TIMING if key in cell.metadata}
                if before < self.first and name in self.logged:  # it did not rerun
                    timing = self.logged[name].metadata
                outputs = redact_outputs(cell.outputs, self.secrets)
                count = cell.execution_count
                self._append(CellOutputs(cell=name, outputs=outputs, execution_count=count, metadata=timing))
        self.changed = {later for later in self.changed if later >= index}
        displays = compat.displays(client)
        mark = SnapshotMark(
            snapshot=self.plan.snapshots[self.source_cells[index]],
            displays={
                display: [(self.names[at], outputs) for at, outputs in places.items()]
                for display, places in displays.items()
            },
            widgets=redact_widgets(client.widget_state, self.secrets),
            buffers={
                comm: [(list(path), value) for path, value in buffers.items()]
                for comm, buffers in client.widget_buffers.items()
            },
        )
        self._append(mark)
        self._file.flush()

    def _append(self, line: Message) -> None:
        self._file.write(encode(line) + b"\n")

    def restore(self, client: Any) -> None:
        """Give the cells before the first that runs what they had shown, and nbclient its memory."""
        indices = {name: index for index, name in self.names.items()}
        for index in range(self.first):
            cell, logged = client.nb.cells[index], self.logged.get(self.names.get(index, ""))
            if logged is not None:
                cell.outputs, cell.execution_count = _as_nodes(logged.outputs), logged.execution_count
        assert self.mark is not None
        for display, places in self.mark.displays.items():
            restored = {indices[name]: outputs for name, outputs in places if name in indices}
            compat.displays(client)[display] = restored
        client.widget_state.update(self.mark.widgets)
        for comm, buffers in self.mark.buffers.items():
            client.widget_buffers.setdefault(comm, {}).update({tuple(path): value for path, value in buffers})
        self.changed = set(range(self.first))

    def restore_timing(self, cells: list[Any]) -> None:
        """Give the cells that did not rerun the times at which they ran."""
        for index in range(self.first):
            logged = self.logged.get(self.names.get(index, ""))
            if logged is not None:
                cells[index].metadata.update(_as_nodes(logged.metadata))

    def close(self) -> None:
        """Close the log."""
        if self._file is not None:
            self._file.close()


def source_cells(cells: list[Any]) -> list[int]:
    """Return for each cell its index in the notebook's source; -1 for one that papermill has added."""
    number, numbers = 0, []
    for cell in cells:
        own = INJECTED not in cell.metadata.get("tags", [])
        numbers.append(number if own else -1)
        number += own
    return numbers


def _cell_names(cells: list[Any], source: list[int], code_cells: tuple[int, ...]) -> dict[int, str]:
    """Return index -> name in logs of code cells, which does not depend on prose and on cells without statements."""
    names: dict[int, str] = {}
    with_code = empty = 0
    for index, (cell, number) in enumerate(zip(cells, source, strict=True)):
        if number < 0:
            names[index] = INJECTED
        elif number in code_cells:
            names[index], with_code, empty = str(with_code), with_code + 1, 0
        elif cell.cell_type == "code":
            names[index], empty = f"{with_code}+{empty}", empty + 1
    return names


def _read(path: str, snapshot: str | None) -> tuple[dict[str, CellOutputs], SnapshotMark | None]:
    """Return the newest outputs of each cell up to a snapshot's mark, and the mark; nothing when it is not there."""
    cells: dict[str, CellOutputs] = {}
    if snapshot is None:
        return cells, None
    try:
        with open(path, "rb") as file:
            for line in file:
                entry: CellOutputs | SnapshotMark = decode(line, CellOutputs | SnapshotMark)  # type: ignore[arg-type]
                if isinstance(entry, CellOutputs):
                    cells[entry.cell] = entry
                elif entry.snapshot == snapshot:
                    return cells, entry
    except (OSError, ValueError):
        pass
    return {}, None


def _as_nodes(value: Any) -> Any:
    """Return JSON as nbformat represents it."""
    return from_dict(value)  # type: ignore[no-untyped-call]
