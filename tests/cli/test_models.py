"""`mlnb models`, `promote`, `rollback`, `approve`, `approvals`, `compare` and `audit`: output and exit codes."""

import json
import sqlite3

import pytest
from signing_people import People

from mlnb.cli.main import main
from mlnb.engine.formats import save_object
from mlnb.engine.runs import list_runs, open_run

A, B = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4"


@pytest.fixture
def project(tmp_path, example, monkeypatch):
    """Two runs with a verified bento whose models differ."""
    project = example.make_project(tmp_path / "titanic")
    (project.root / "settings.ini").write_text("[mlnb]\n[pipeline train]\nstages = problem\n")
    example.make_run(project, A)
    other = example.make_run(project, B, minute=20, score=0.91)
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "model.txt").write_text("another")
    service = save_object(project.store, tmp_path / "service", "another service")
    other.update_stage("package", outputs={**other.stages["package"].outputs, "service": service})
    other.save()
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("MLNB_ACTOR", "ann")
    return project


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """A terminal in which all tables fit."""
    monkeypatch.setenv("COLUMNS", "200")


def shown(capsys, *arguments, code=0):
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def interval(project):
    return "[{low:.4f}, {high:.4f}]".format(**open_run(project, A).load("metrics")["deciding"])


def test_from_registration_to_rollback(project, capsys):
    listing = shown(capsys, "models")
    assert "survived-classifier:1" in listing and "survived-classifier:2" in listing and interval(project) in listing
    assert "survived-classifier:1 promoted as champion. Entry 3" in shown(capsys, "promote", "1", "--reason", "first")
    assert "which was version 1" in shown(capsys, "promote", "2", "--reason", "better")
    assert "survived-classifier:1 rolled back as champion" in shown(capsys, "rollback", "--reason", "complaints")
    assert "survived-classifier:2 approved" in shown(capsys, "approve", "2", "--reason", "seen")
    log = shown(capsys, "audit")
    assert "champion: 2 → 1" in log and "complaints" in log and "ann" in log
    assert "6 entries" in shown(capsys, "audit", "verify")
    lines = [json.loads(line) for line in shown(capsys, "audit", "--json").splitlines()]
    assert [line["what"] for line in lines][2:] == ["promoted", "promoted", "rolled back", "approved"]


def test_approvals_are_listed_with_whether_a_key_verifies_them(project, capsys, monkeypatch):
    people = People(project, monkeypatch)
    shown(capsys, "models")
    shown(capsys, "approve", "1", "--reason", "my own")
    assert "0 verified approvals." in (text := shown(capsys, "approvals", "1")) and "the project trusts no key" in text
    assert "ann (not verified)" in shown(capsys, "models") and "ann (not verified)" in shown(capsys, "models", "1")
    assert "not verified: the project trusts no key" in shown(capsys, "lineage", "1")
    (project.root / "settings.ini").write_text("[mlnb]\napprovals = 1\n[pipeline train]\nstages = problem\n")
    key = people.trust("bob", "approver")
    assert main(["approvals", "1"]) == 1 and "1 required" in capsys.readouterr().out
    people.act("bob")
    assert "by bob" in shown(capsys, "approve", "1", "--reason", "report read")
    text = shown(capsys, "approvals", "1")
    assert "1 verified approval: bob; 1 required." in text and key.keyid[:12] in text and "approver" in text
    lines = [json.loads(line) for line in shown(capsys, "approvals", "1", "--json").splitlines()]
    assert [(line["who"], line["verified"]) for line in lines] == [("ann", False), ("bob", True)]
    assert json.loads(shown(capsys, "models", "1", "--json"))["approvals"] == lines
    assert f"verified, key {key.keyid[:12]}" in shown(capsys, "lineage", "1")
    assert "promoted as champion" in shown(capsys, "promote", "1", "--reason", "approved")
    assert "your key is that of bob" in _refused(capsys, people, "the CEO")


def _refused(capsys, people, actor):
    people.act("bob", actor)
    return shown(capsys, "approve", "2", "--reason", "mine", code=3)


def test_one_version_is_shown_and_two_are_compared(project, capsys):
    shown(capsys, "models")
    assert "rows verified over HTTP" in shown(capsys, "models", "survived-classifier:2")
    assert json.loads(shown(capsys, "models", "2", "--json"))["run"] == B
    text = shown(capsys, "compare", "1", "2")
    assert "0.9100" in text and "data: the same" in text
    assert json.loads(shown(capsys, "compare", "1", "2", "--json"))["versions"] == [
        "survived-classifier:1",
        "survived-classifier:2",
    ]


def test_an_altered_truncated_or_reordered_audit_log_is_detected(project, capsys):
    shown(capsys, "models")
    for number in ("1", "2"):
        shown(capsys, "promote", number, "--reason", "better")
    head = json.loads(shown(capsys, "audit", "verify", "--json"))["head"]

    def behind(*statements):
        database = sqlite3.connect(project.store_root / "registry.db")
        with database:
            database.executescript("DROP TRIGGER IF EXISTS mlnb_log_UPDATE; DROP TRIGGER IF EXISTS mlnb_log_DELETE;")
            for statement in statements:
                database.execute(statement)
        database.close()
        return shown(capsys, "audit", "verify", "--head", head, code=1)

    assert "altered: entry 3" in behind(
        "UPDATE mlnb_log SET entry = replace(entry, 'better', 'worse') WHERE number = 3"
    )
    swap = ("UPDATE mlnb_log SET number = 9 WHERE number = 1", "UPDATE mlnb_log SET number = 1 WHERE number = 2")
    assert "moved: entry 1 was written as entry 2" in behind(*swap, "UPDATE mlnb_log SET number = 2 WHERE number = 9")
    assert "missing: no entry has the digest" in behind("DELETE FROM mlnb_log WHERE number = 4")


def test_invalid_requests_are_refused(project, capsys):
    shown(capsys, "models")
    assert "A reason is needed" in shown(capsys, "promote", "1", code=2)
    assert "no version 7" in shown(capsys, "promote", "7", "--reason", "x", code=2)
    assert "no alias 'champion'" in shown(capsys, "rollback", "--reason", "x", code=2)
    assert "is no alias" in shown(capsys, "promote", "1", "--as", "9", "--reason", "x", code=2)


def test_clean_keeps_artifacts_of_model_versions(project, capsys):
    shown(capsys, "models")
    digests = [run.require_output("service").digest for run in (open_run(project, A), open_run(project, B))]
    shown(capsys, "clean", "--runs", "0")
    assert all(project.store.intact(digest, tree=True) for digest in digests)
    assert "survived-classifier:2" in shown(capsys, "models")


def test_clean_keeps_the_runs_of_versions_with_an_alias(project, capsys):
    """Monitoring and retraining read the run of the champion."""
    shown(capsys, "promote", "1", "--reason", "first")
    shown(capsys, "clean", "--runs", "0")
    assert [run.id for run in list_runs(project)] == [A]
    assert "survived-classifier:1" in shown(capsys, "models")
