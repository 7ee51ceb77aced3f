"""Segments and runs that are older than a retention setting are deleted, recorded, and no others."""

from pathlib import Path

import pytest

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.engine.runs import read_runs
from mlnb.erasure.retention import DAY, delete_expired, find_expired, last_time
from mlnb.governance.checks import CheckState
from mlnb.governance.project_verification import verify
from mlnb.monitoring.prediction_table import convert_finished
from mlnb.registry.registry import Registry


def test_old_segments_and_runs_are_deleted_and_recorded(project: Project, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    project = project.with_settings(retention_log_days=2.0, retention_runs_days=2.0, predictions=f"file://{bucket}")
    (folder,) = (project.store_root / "predictions").iterdir()
    convert_finished(folder)
    first, second, third = sorted(folder.glob("*.parquet"))
    assert [last_time(path) for path in (first, second, third)] == [1001.0, 1002.0, 1003.0]
    (bucket / folder.name).mkdir(parents=True)
    (bucket / folder.name / first.name).write_bytes(first.read_bytes())
    runs, _ = read_runs(project)
    assert not find_expired(project, runs, {runs[0].id}, at=1001.0 + 2 * DAY).exists
    expired = find_expired(project, runs, {runs[0].id}, at=1002.5 + 2 * DAY)
    assert (expired.runs, expired.segments) == ([], [first, second])
    assert "last row 1970-01-01, retention_log_days = 2" in next(expired.describe(project))
    delete_expired(project, expired)
    assert sorted(folder.glob("*.parquet")) == [third] and not any((bucket / folder.name).iterdir())
    checks = [check for check in verify(project, "all") if ".parquet" in check.subject or not check.passed]
    assert checks == []
    delete_expired(project, find_expired(project, runs, set(), at=4e9))
    registry = Registry(project)
    whys = [entry.why for entry in registry.log() if entry.what == "expired"]
    registry.engine.dispose()
    assert whys[0] == "retention: 2 segments (retention_log_days = 2)"
    assert whys[1].startswith("retention: 1 run (retention_runs_days = 2), 1 segment ")
    assert all(check.passed and check.state != CheckState.MISSING for check in verify(project, "all"))


def test_the_command_deletes_by_the_setting_unless_there_is_a_hold(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    (folder,) = (project.store_root / "predictions").iterdir()
    segments = sorted(folder.glob("*.parquet"))
    settings = "[mlnb]\ntracker = local\nretention_log_days = 90\nretention_runs_days = 90\n"
    (project.root / "settings.ini").write_text(settings)
    assert main(["clean", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert segments[0].name in shown and "run 2026" not in shown and "would delete" in shown
    assert main(["hold", "add", "lawsuit 12"]) == 0
    assert main(["clean"]) == 2
    assert "Legal hold 4 by" in (error := capsys.readouterr().err) and "(lawsuit 12): nothing may be erased" in error
    assert main(["hold", "remove", "4", "--reason", "ended"]) == 0
    assert main(["clean"]) == 0
    assert not any(path.exists() for path in segments)
    assert read_runs(project)[0], "the run of the champion stays"
