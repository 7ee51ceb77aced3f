"""Stages are repeated after transient errors: recorded, shown, after growing times; others fail at once."""

import json

import pytest
import toys
from data_runs import data_project, ingest

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.engine.run_records import StageState
from mlnb.engine.stage_jobs import Outcome, OutcomeState
from mlnb.engine.stage_retries import StageRetries
from mlnb.errors import ProjectError, SettingsError

CUT = Outcome(state=OutcomeState.FAILED, message="ConnectionError: cut", cell=3, transient=True)
# Counts its executions in a file, and fails in the first ones.
BODY = """import pathlib
path = pathlib.Path("../../{name}")
path.write_text((path.read_text() if path.exists() else "") + "x")
if len(path.read_text()) <= {cut}:
    raise ConnectionError("the warehouse does not respond")
stage.save("{name}", 3)"""


@pytest.fixture
def run(tmp_path):
    project = data_project(tmp_path)
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    return ingest(project.with_settings(retries=4, retry_seconds=8.0), "people.csv", 1)


def test_waiting_times_double_with_jitter(run):
    retries = StageRetries(run)
    waits = [retries.add("ingest", CUT).wait for _ in range(4)]
    assert all(least / 2 <= wait <= least for wait, least in zip(waits, (8, 16, 32, 60), strict=True))
    assert len({wait / least for wait, least in zip(waits, (8, 16, 32, 60), strict=True)}) == 4
    assert retries.add("ingest", CUT) is None  # after four repetitions
    assert [one.error for one in run.stages["ingest"].attempts] == 4 * ["CellFailed"]
    assert retries.due(["ingest", "other"]) == ["other"]
    assert retries.counted("ingest", CUT).message == f"{CUT.message} (tried 5 times)"


def test_deterministic_failures_are_not_repeated(run):
    retries = StageRetries(run)
    for outcome in (
        Outcome(state=OutcomeState.FAILED, message="AssertionError"),
        Outcome(state=OutcomeState.TIMEOUT, transient=True),
        Outcome(state=OutcomeState.INTERRUPTED, transient=True),
        Outcome(state=OutcomeState.DIED),
    ):
        assert retries.add("ingest", outcome) is None and retries.counted("ingest", outcome) == outcome
    assert run.stages["ingest"].attempts == () and retries.due(["ingest"]) == ["ingest"]


def test_a_stage_may_have_its_number(tmp_path, run):
    (tmp_path / "settings.ini").write_text("[mlnb]\nretries = 3\n[stage ingest]\nretries = 0\n")
    run.project = Project.find(tmp_path)
    assert StageRetries(run).limit("ingest") == 0 and StageRetries(run).limit("tune") == 3
    (tmp_path / "settings.ini").write_text("[mlnb]\n[stage ingest]\nretry = 0\n")
    with pytest.raises(ProjectError, match="Did you mean 'retries'"):
        Project.find(tmp_path)
    with pytest.raises(ProjectError, match=r"\[stage ingest\]: there is no stage 'ingest'.* Did you mean 'ingested'"):
        run.project.check_stage_sections(["ingested", "tune"])
    run.project.check_stage_sections(["ingest", "tune"])
    (tmp_path / "settings.ini").write_text("[mlnb]\n[stage ingest]\nretries = -1\n")
    with pytest.raises(SettingsError, match="at least 0"):
        Project.find(tmp_path)


def test_a_run_survives_transient_errors_up_to_the_limit(toy_root, monkeypatch, capsys):
    stages = {
        "10_number": toys.stage("number", BODY.format(name="number", cut=2), writes={"number": "a number"}),
        "20_other": toys.stage("other", BODY.format(name="other", cut=9), writes={"other": "a number"}),
    }
    root = toys.project(toy_root, stages, "retry_seconds = 0.05")
    lines = toys.mlnb(root, "run", "--json", "--no-report", code=3).splitlines()
    retried = [json.loads(line) for line in lines if '"stage_retried"' in line]
    assert sorted(event["stage"] for event in retried) == ["number", "number", "other", "other"]
    number, other = (toys.record(root)["stages"][name] for name in ("number", "other"))
    assert number["state"] == StageState.FINISHED and number["error"] is None
    first, second = number["attempts"]
    assert first["message"] == second["message"] == "ConnectionError: the warehouse does not respond"
    assert first["finished"] <= second["started"] and first["cell"] is not None and 0.025 <= first["wait"] <= 0.05
    assert other["state"] == StageState.FAILED and len(other["attempts"]) == 2
    assert (root / "number").read_text() == (root / "other").read_text() == "xxx"
    monkeypatch.chdir(root)
    assert main(["show", "latest", "other"]) == 0
    assert "repeated after" in capsys.readouterr().out
