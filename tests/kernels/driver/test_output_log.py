"""Outputs of cells are logged under names that do not depend on prose, and restored from the log."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import nbformat
import pytest

from mlnb.kernels.driver.output_log import OutputLog, source_cells
from mlnb.kernels.protocol.jobs import SnapshotPlan


def notebook(*sources: str) -> Any:
    """Return a notebook: "#" starts a markdown cell, "*" the cell that papermill adds."""
    cells = [
        nbformat.v4.new_markdown_cell(source)
        if source.startswith("#")
        else nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"] * (source == "*")})
        for source in sources
    ]
    return nbformat.v4.new_notebook(cells=cells)


def client(document: Any) -> Any:
    """Return what nbclient remembers of a notebook."""
    return SimpleNamespace(nb=document, _display_id_map={}, widget_state={}, widget_buffers={})


def plan(folder: Path, **changes: Any) -> SnapshotPlan:
    values: dict[str, Any] = {
        "snapshots": {1: "before b", 3: "before c"},
        "code_cells": (0, 1, 3),
        "output_log": str(folder / "logs" / "log.jsonl"),
        "group": "g",
        "ttl_minutes": 1.0,
        "max_bytes": 1.0,
    }
    return SnapshotPlan(**{**values, **changes})


def show(cell: Any, text: str, count: int) -> None:
    cell.outputs = [nbformat.v4.new_output("stream", text=text)]
    cell.execution_count = count
    cell.metadata["papermill"] = {"duration": float(count)}


def test_cells_are_numbered_as_in_the_source() -> None:
    assert source_cells(notebook("a", "*", "# prose", "b").cells) == [0, -1, 1, 2]


def test_what_was_shown_is_restored_under_other_prose(tmp_path: Path) -> None:
    document = notebook("a", "*", "b", "# prose", "c")
    first = client(document)
    log = OutputLog(plan(tmp_path), document.cells, {})
    assert log.first == 0 and [log.snapshot_id(n) for n in range(5)] == [None, None, "before b", None, "before c"]
    for index, text in ((0, "from a"), (1, ""), (2, "from b")):
        if log.snapshot_id(index):
            log.write(index, first)
        log.changed.add(index)
        show(document.cells[index], text, index + 1)
    first._display_id_map["d"] = {0: [0]}
    first.widget_state["w"] = {"value": 3}
    first.widget_buffers["w"] = {("path", "to"): {"data": "x"}}
    log.write(4, first)
    log.close()

    again = notebook("a", "*", "# more prose", "b", "c")
    second = client(again)
    restored = plan(
        tmp_path,
        output_log=str(tmp_path / "new.jsonl"),
        restore="before c",
        restore_log=str(tmp_path / "logs" / "log.jsonl"),
        snapshots={2: "before b", 3: "before c"},
        code_cells=(0, 2, 3),
    )
    log = OutputLog(restored, again.cells, {})
    assert log.first == 4
    log.restore(second)
    assert again.cells[0].outputs[0].text == "from a" and again.cells[4].outputs == []
    assert again.cells[3].outputs[0].text == "from b" and again.cells[3].execution_count == 3
    assert second._display_id_map == {"d": {0: [0]}} and second.widget_state == {"w": {"value": 3}}
    assert second.widget_buffers == {"w": {("path", "to"): {"data": "x"}}}
    log.restore_timing(again.cells)
    assert again.cells[3].metadata["papermill"]["duration"] == 3.0

    log.write(4, second)  # the restored notebook can be restored again, from its own log
    log.close()
    third = OutputLog(msgspec.structs.replace(restored, restore_log=restored.output_log), again.cells, {})
    assert third.first == 4 and third.logged == log.logged and third.mark == log.mark


def test_outputs_are_redacted_before_they_are_written(tmp_path: Path) -> None:
    document = notebook("a", "b")
    log = OutputLog(plan(tmp_path), document.cells, {"hidden": "secret"})
    log.changed.add(0)
    show(document.cells[0], "secret", 1)
    memory = client(document)
    memory.widget_state["w"] = {"_model_name": "HTMLModel", "value": "http://u:secret@host"}
    log.write(1, memory)
    log.close()
    text = (tmp_path / "logs" / "log.jsonl").read_text()
    assert text.count("${hidden}") == 2 and "secret" not in text


@pytest.mark.parametrize("text", [None, "", "{", '{"type": "SnapshotMark", "snapshot": "other"}\n'])
def test_a_log_that_does_not_have_the_snapshot_restores_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "old.jsonl").write_text(text)
    restored = plan(tmp_path, restore="before c", restore_log=str(tmp_path / "old.jsonl"))
    assert OutputLog(restored, notebook("a", "b", "# c", "d").cells, {}).first == 0


def test_a_snapshot_is_described_with_its_cell(tmp_path: Path) -> None:
    labeled = plan(tmp_path, labels={"run": "r"})
    info = OutputLog(labeled, notebook("a", "*", "b").cells, {}).snapshot_info(2)
    assert (info.id, info.cell, info.group, info.labels) == ("before b", 1, "g", {"run": "r"})
