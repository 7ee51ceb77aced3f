"""Accesses in the records of runs: each record is read once, until it changes; damaged ones are left out."""

import json
import os
from pathlib import Path

import pytest

from mlnb.codec import encode
from mlnb.engine import run_accesses
from mlnb.engine.project import Project
from mlnb.engine.run_accesses import accesses_of_runs
from mlnb.engine.run_records import RunRecord, StageRecord
from mlnb.engine.test_set_access import Access
from mlnb.errors import DamagedFileWarning


def write(project: Project, number: int, digest: str) -> Path:
    """Write the record of a run that has loaded a held-out artifact; return its file."""
    name = f"2026-{number}"
    stage = StageRecord(key="k", held_out={"test": digest})
    record = RunRecord(
        id=name, pid=1, pid_started=None, started="2026", pipeline="train", order=("evaluate",),
        stages={"evaluate": stage},
    )  # fmt: skip
    path = project.runs / name / "run.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(record))
    return path


def test_a_record_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.engine.digests.RACE", -1)  # files that were written just now are cached, too
    project, read = Project(tmp_path, tmp_path), list[str]()
    original = run_accesses.read_run
    monkeypatch.setattr(run_accesses, "read_run", lambda *of: (read.append(of[1].name), original(*of))[1])
    for number in range(3):
        write(project, number, f"d{number}")
    expected = {Access(f"d{number}", f"2026-{number}", "k") for number in range(3)}
    assert accesses_of_runs(project) == expected and len(read) == 3
    assert accesses_of_runs(project) == expected and len(read) == 3
    os.utime(write(project, 1, "other"), (1, 1))
    assert Access("other", "2026-1", "k") in accesses_of_runs(project) and read[3:] == ["2026-1"]


def test_damaged_records_and_entries_of_the_cache_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlnb.engine.digests.RACE", -1)
    project = Project(tmp_path, tmp_path)
    path = write(project, 0, "d")
    assert accesses_of_runs(project) == {Access("d", "2026-0", "k")}
    cache = project.store_root / "cache" / "accesses.json"
    entries = json.loads(cache.read_text())
    assert len(entries) == 1
    cache.write_text(json.dumps({name: [entry[0], [["d", 3]]] for name, entry in entries.items()}))
    assert accesses_of_runs(project) == {Access("d", "2026-0", "k")}
    path.write_text("{")
    with pytest.warns(DamagedFileWarning, match="left out"):
        assert accesses_of_runs(project) == set()
