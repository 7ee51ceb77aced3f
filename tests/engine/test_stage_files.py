"""Files between a run and the notebook of a stage: records, and the error note of one attempt."""

from pathlib import Path

import pytest

from mlnb.engine.run_records import OutputRecord
from mlnb.engine.stage_files import (
    ERROR_BYTES,
    CellNote,
    StageInputs,
    StageReport,
    WatchedRecord,
    cell_path,
    error_path,
    inputs_path,
    read_error,
    read_record,
    report_path,
    reserve_error,
    write_cell,
    write_error,
    write_record,
)
from mlnb.errors import GateFailed, MlnbError, UnknownRun

OUTPUT = OutputRecord(digest="ab", format="json", bytes=3, description="a number")


def test_records_round_trip(tmp_path: Path) -> None:
    inputs = StageInputs(
        attempt="1", key="k", parameters={"x": [1, None]}, inputs={"a": OUTPUT}, scratch="s", snapshots={4: "s4"}
    )
    report = StageReport(attempt="1", outputs={"b": OUTPUT}, metrics={"score": 0.5}, closed=True)
    write_record(inputs_path(tmp_path, "tune"), inputs)
    write_record(report_path(tmp_path, "tune"), report)
    assert read_record(StageInputs, inputs_path(tmp_path, "tune")) == inputs
    assert read_record(StageReport, report_path(tmp_path, "tune")) == report


@pytest.mark.parametrize("data", [None, b"", b"{", b'{"schema": "stage-inputs/1"}', b'{"schema": "stage-report/99"}'])
def test_missing_incomplete_and_other_files_are_none(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        report_path(tmp_path, "tune").write_bytes(data)
    assert read_record(StageReport, report_path(tmp_path, "tune")) is None


def test_a_watched_record_is_read_once_for_each_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = report_path(tmp_path, "tune"), []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: read.append(self.name) or original(self))
    watched = WatchedRecord(StageReport, path)
    assert watched.read() is None and not read
    for attempt in ("1", "2"):
        write_record(path, StageReport(attempt=attempt))
        for _ in range(3):
            assert watched.read() == StageReport(attempt=attempt)
        assert len(read) == int(attempt)
    path.write_bytes(b"{")
    assert watched.read() is None
    path.unlink()
    assert watched.read() is None


@pytest.mark.parametrize("error", [GateFailed, UnknownRun, None])
def test_an_error_note_fits_the_reserved_bytes(tmp_path: Path, error: type[MlnbError] | None) -> None:
    reserve_error(tmp_path, "tune")
    assert read_error(tmp_path, "tune", "1") is None
    write_error(tmp_path, "tune", "1", error("no") if error else ConnectionError("no"))
    assert error_path(tmp_path, "tune").stat().st_size == ERROR_BYTES  # no new block on a full disk
    note = read_error(tmp_path, "tune", "1")
    assert note is not None and note.error_class is error and note.transient is (error is None)
    assert read_error(tmp_path, "tune", "2") is None


def test_an_error_that_cannot_be_written_is_ignored(tmp_path: Path) -> None:
    write_error(tmp_path, "tune", "1", GateFailed("no"))
    assert not error_path(tmp_path, "tune").exists()


def test_other_processes_can_follow_the_cell_of_a_stage(tmp_path: Path) -> None:
    note = CellNote(cell=4, cells=14, heading="Search")
    write_cell(tmp_path, "tune", note)
    assert read_record(CellNote, cell_path(tmp_path, "tune")) == note
    assert cell_path(tmp_path, "tune").stat().st_mode & 0o077 == 0
    write_cell(tmp_path / "missing", "tune", note)  # a full disk or a deleted folder ends no run
    assert read_record(CellNote, cell_path(tmp_path / "missing", "tune")) is None
