"""Verification: one changed byte in each kind of file is found and named, and an untouched project is left as it is."""

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
from example_run import Example
from recorded_runs import flip, recorded_run, snapshot
from signing_people import People

from mlnb.cli.main import main
from mlnb.codec import convert, encode, replace
from mlnb.engine.files import write_json, write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, read_run
from mlnb.engine.test_set_access import access_path, rows_path
from mlnb.governance import project_verification
from mlnb.governance.checks import Check, CheckState, SignaturePolicy, passed
from mlnb.governance.production_verification import verify_production
from mlnb.governance.run_manifest import manifest_path, read_manifest, source_archives, write_manifest
from mlnb.governance.run_verification import check_sources, verify_run
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.production_heads import record_heads, store_identity
from mlnb.registry.audit_log import ORIGIN, Entry
from mlnb.registry.known_head import head_path
from mlnb.registry.registry import Registry
from mlnb.serving.runtime.log_segments import convert_segment
from mlnb.signing.envelopes import IN_TOTO, open_envelope
from mlnb.signing.signing_keys import create_key
from mlnb.signing.trusted_keys import FILE, TrustedKey, TrustedKeys, keys_path, read_trusted_keys


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Iterator[Run]:
    """A run, signed with a key that the project trusts."""
    root = tmp_path_factory.mktemp("evidence")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLNB_CONFIG", str(root / "config"))
        key = TrustedKey(name="ann", role="ci", public=create_key().public, since="2026-01-01")
        write_whole(root / "project" / FILE, encode(TrustedKeys(keys=(key,))))
        run = recorded_run(example, root / "project")
        add_production_data(run)
        yield run


def add_production_data(run: Run) -> None:
    """Write two finished segments and labels with a correction, as far as `mlnb monitor` has recorded their heads."""
    registry = Registry(run.project, "ann")
    (version,) = registry.versions()
    folder = log_folder(run.project, version.model)
    folder.mkdir(parents=True)
    for number in (1, 2):
        line = {"id": f"request-{number}", "time": 1000.0, "model": "m", "ms": 1.0, "rows": [{"fare": 7.0}]}
        segment = folder / f"20260314T091500-17-ab-{number}.jsonl"
        segment.write_text(json.dumps({**line, "responses": [{"prediction": "1"}]}) + "\n")
        convert_segment(segment)
    database = label_database(run.project, version.model)
    add_labels(database, [("request-1", 0, "1"), ("request-2", 0, "0")], 1.0)
    add_labels(database, [("request-2", 0, "1")], 2.0, replace=True)
    assert record_heads(run.project, registry, version, folder) is not None
    assert record_heads(run.project, registry, version, folder) is None  # nothing has been added since
    registry.engine.dispose()


@pytest.fixture
def run(original: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the run and its project."""
    for name in ("check_sources", "check_document_sources"):
        monkeypatch.setattr(project_verification, name, lambda run: ())  # it reads all of the library
    root = tmp_path / "project"
    shutil.copytree(original.project.root, root)
    project = Project(root, root).with_settings(audit_anchor="audit_heads")
    return read_run(project, project.runs / original.id)


def problems(run: Run, reference: str = "all", strict: bool = True) -> list[Check]:
    return [
        check for check in project_verification.verify(run.project, reference, strict) if check.state != CheckState.OK
    ]


def stored(run: Run, artifact: str) -> Path:
    return run.project.store.path(run.require_output(artifact).digest)


def part_of(run: Run, artifact: str) -> Path:
    listing = run.project.store.read_listing(run.require_output(artifact).digest)
    return run.project.store.path(listing[max(listing)])


def in_tree(run: Run) -> Path:
    folder = run.project.store_root / "trees" / run.require_output("service").digest
    return sorted(path for path in folder.rglob("*") if path.is_file())[0]


def held_out(run: Run) -> tuple[str, str]:
    ((artifact, digest),) = run.stages["evaluate"].held_out.items()
    assert artifact == "test"
    return digest, str(run.stages["evaluate"].from_run)


def predictions(run: Run) -> Path:
    return run.project.store_root / "predictions" / "survived-classifier"


# Kind of file: which file, and what the result is called.
FILES: dict[str, tuple[Callable[[Run], Path], str]] = {
    "record of the run": (lambda run: run.folder / "run.json", "/run.json"),
    "executed notebook": (lambda run: run.folder / "notebooks/70_evaluate.ipynb", "/70_evaluate.ipynb"),
    "page of a notebook": (lambda run: run.folder / "notebooks/50_tune.html", "/50_tune.html"),
    "inputs of a stage": (lambda run: run.folder / "stages/tune.inputs.json", "/stages/tune.inputs.json"),
    "report of a stage": (lambda run: run.folder / "stages/tune.report.json", "/stages/tune.report.json"),
    "report": (lambda run: run.folder / "report.html", "/report.html"),
    "manifest": (lambda run: run.folder / "manifest.json", "/manifest.json"),
    "data": (lambda run: stored(run, "raw"), "artifact raw"),
    "training rows": (lambda run: stored(run, "training"), "artifact training"),
    "held-out rows": (lambda run: stored(run, "test"), "artifact test"),
    "array": (lambda run: stored(run, "folds"), "artifact folds"),
    "metrics": (lambda run: stored(run, "metrics"), "artifact metrics"),
    "gate": (lambda run: stored(run, "gate"), "artifact gate"),
    "predictions": (lambda run: stored(run, "predictions"), "artifact predictions"),
    "model card": (lambda run: stored(run, "card"), "artifact card"),
    "file of the model card": (lambda run: run.folder / "documents/model_card.md", "/model_card.md"),
    "page of the data sheet": (lambda run: run.folder / "documents/data_sheet.html", "/data_sheet.html"),
    "evidence": (lambda run: run.folder / "documents/evidence.json", "/evidence.json"),
    "answers": (lambda run: stored(run, "answers"), "artifact answers"),
    "list of a folder's files": (lambda run: stored(run, "service"), "artifact service"),
    "file of the model": (lambda run: part_of(run, "model"), "artifact model"),
    "file of the service": (lambda run: part_of(run, "service"), "artifact service"),
    "unpacked file of the service": (in_tree, "/trees/"),
    "result of a stage key": (
        lambda run: run.project.store_root / "keys" / f"{run.stages['tune'].key}.json",
        "/keys/",
    ),
    "test-set access": (lambda run: access_path(run.project.store_root, *held_out(run)), "/test_set_accesses/"),
    "hashes of test rows": (lambda run: rows_path(run.project.store_root, held_out(run)[0]), ".rows"),
    "source code": (
        lambda run: run.project.store.path(source_archives(read_manifest(run)[1])[0]),
        "source code",
    ),
    "finished segment": (lambda run: min(predictions(run).glob("*.parquet")), "-17-ab-1.parquet"),
    "chain of segments": (lambda run: predictions(run) / "17-ab.chain", "17-ab.chain"),
    "known head": (lambda run: head_path(run.project), "audit_head.json"),
    "anchored head": (lambda run: min((run.project.root / "audit_heads").iterdir()), "audit_heads/"),
    "trusted keys": (lambda run: keys_path(run.project), "trusted_keys.json"),
}


def test_an_untouched_project_passes_and_stays_as_it_is(run: Run) -> None:
    before = snapshot(run.project)
    checks = list(project_verification.verify(run.project, "all", strict=True))
    assert passed(checks) and {check.state for check in checks} == {CheckState.OK}
    assert len(checks) > 50
    assert passed(project_verification.verify(run.project, run.id)) and passed(
        project_verification.verify(run.project, "@champion")
    )
    assert snapshot(run.project) == before


@pytest.mark.parametrize("kind", FILES)
def test_one_changed_byte_and_a_deleted_file_are_found_and_named(run: Run, kind: str) -> None:
    find, name = FILES[kind]
    path = find(run)
    flip(path, {"trusted keys": 2, "known head": -10}.get(kind))
    results = problems(run, strict=False)
    altered = [f"{check.subject} {check.detail}" for check in results if check.state == CheckState.ALTERED]
    assert any(name in text for text in altered), results
    assert not passed(results)
    path.parent.chmod(0o700)
    path.unlink()
    if kind not in ("result of a stage key", "trusted keys", "anchored head", "record of the run"):
        states = {check.state for check in problems(run, strict=False) if name in check.subject}
        assert CheckState.MISSING in states, states


TABLES = {
    "version": ("UPDATE mlnb_versions SET metadata = replace(metadata, 'roc_auc', 'roc_auC')", "version"),
    "run of a version": ("UPDATE mlnb_versions SET run = run || 'x'", "version"),
    "alias": ("UPDATE mlnb_aliases SET number = 7", "champion of"),
    "approval": ("INSERT INTO mlnb_approvals VALUES ('survived-classifier', 1, 'eve')", "by eve"),
    "entry": ("UPDATE mlnb_log SET entry = replace(entry, 'first', 'firsT') WHERE number = 2", "altered: entry 2"),
    "digest of an entry": (
        "UPDATE mlnb_log SET digest = iif(digest LIKE 'a%', 'b', 'a') || substr(digest, 2) WHERE number = 1",
        "entry 1",
    ),
    "signature": ("UPDATE mlnb_signatures SET signature = lower(signature)", "signature does not match"),
    "deleted entry": ("DELETE FROM mlnb_log WHERE number = 2", "of the anchored head"),
}


def execute(run: Run, *statements: str) -> None:
    """What somebody does who may write to the database, and knows of the triggers."""
    with closing(sqlite3.connect(run.project.store_root / "registry.db")) as connection, connection:
        for statement in ("DROP TRIGGER mlnb_log_UPDATE", "DROP TRIGGER mlnb_log_DELETE", *statements):
            connection.execute(statement)


@pytest.mark.parametrize("kind", TABLES)
def test_a_changed_table_of_the_registry_is_found(run: Run, kind: str) -> None:
    statement, text = TABLES[kind]
    execute(run, statement)
    results = [f"{check.subject}: {check.detail}" for check in problems(run, strict=False)]
    assert any(text in line for line in results), results


LABELS = {
    "label": ("UPDATE label_events SET label = '0' WHERE number = 1", "event 1: request 'request-1', row 0"),
    "position of a label": ("UPDATE label_events SET row = 1 WHERE number = 2", "event 2: request 'request-2', row 1"),
    "time of a label": ("UPDATE label_events SET arrived = 9 WHERE number = 3", "event 3: request"),
    "deleted label": ("DELETE FROM label_events WHERE number = 2", "event 2"),
    "deleted correction": ("DELETE FROM label_events WHERE number = 3", "of the audit log has another head"),
    "all labels": ("DROP TABLE label_events", "of the audit log has another head"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_a_label_that_was_changed_by_sql_is_named(run: Run, kind: str) -> None:
    statement, text = LABELS[kind]
    database = run.project.store_root / "labels" / "survived-classifier.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        if "label_events SET" in statement or "DELETE" in statement:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
            for verb in ("UPDATE", "DELETE"):
                connection.execute(f"DROP TRIGGER label_events_{verb}")
        connection.execute(statement)
    results = [check for check in problems(run, strict=False) if not check.passed]
    assert any(text in f"{check.subject}: {check.detail}".replace("db, ", "") for check in results), results
    assert all("labels/survived-classifier.db" in check.subject for check in results)
    database.unlink()
    (check,) = [check for check in problems(run, strict=False) if not check.passed]
    assert (check.state, check.subject) == (CheckState.MISSING, ".mlnb/labels/survived-classifier.db")


def test_a_chain_that_was_written_again_with_a_changed_row_fails_by_the_recorded_head_alone(run: Run) -> None:
    folder = predictions(run)
    (folder / "17-ab.chain").unlink()
    for number, path in enumerate(sorted(folder.glob("*.parquet")), start=1):
        table = parquet.read_table(path).to_pandas()
        line = {"id": f"request-{number}", "time": 1000.0, "model": "m", "ms": 1.0, "rows": [{"fare": 8.0}]}
        assert table["in.fare"].tolist() == [7.0]
        path.unlink()
        path.with_suffix(".jsonl").write_text(json.dumps({**line, "responses": [{"prediction": "1"}]}) + "\n")
        convert_segment(path.with_suffix(".jsonl"))
    (check,) = [check for check in problems(run, strict=False) if not check.passed]
    assert check.subject.endswith("17-ab.chain") and "of the audit log has another head" in check.detail
    chain = folder / "17-ab.chain"
    chain.write_bytes(chain.read_bytes().splitlines(keepends=True)[1])
    details = {check.detail for check in problems(run, strict=False) if not check.passed}
    assert "entry 1 does not follow the entry before" in details


def test_projects_that_share_a_registry_have_a_log_of_their_own(run: Run) -> None:
    registry = Registry(run.project)
    (entry,) = [entry for entry in registry.log() if entry.what == "monitored"]
    registry.engine.dispose()
    assert {head.file for head in entry.evidence.production} == {
        "predictions/survived-classifier/17-ab.chain",
        "labels/survived-classifier.db",
    }
    shared = run.project.with_settings(registry="postgresql://host/registry")
    own = store_identity(shared)  # the registry was copied from another folder
    heads = tuple(replace(head, digest="0" * 64, store=own) for head in entry.evidence.production)
    other = tuple(replace(head, store="another") for head in heads)
    for production, faults in ((heads, 2), (other, 0)):
        changed = replace(entry, evidence=replace(entry.evidence, production=production))
        assert sum(not check.passed for check in verify_production(shared, [changed], strict=True)) == faults


def test_segments_without_a_chain_pass_unless_strict(run: Run) -> None:
    path = predictions(run) / "20260314T091500-18-cd-1.jsonl"
    line = {"id": "other", "time": 1.0, "model": "m", "ms": 1.0, "rows": [{}], "responses": [{}]}
    path.write_text(json.dumps(line) + "\n")
    convert_segment(path)
    assert problems(run, strict=True) == []
    (predictions(run) / "18-cd.chain").unlink()
    (check,) = problems(run, strict=False)
    assert (check.state, check.passed) == (CheckState.UNSIGNED, True) and check.subject.endswith("18-cd-1.parquet")
    assert not passed(problems(run, strict=True))


def test_an_approval_is_about_the_documents_that_were_approved(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    people = People(run.project, monkeypatch)
    people.trust("bob", "approver")
    people.act("bob")
    registry = Registry(run.project)
    documents = registry.approve("1", "report read").evidence.documents
    registry.engine.dispose()
    assert documents == {name: run.require_output(name).digest for name in ("card", "technical_documentation")}
    assert not any("approval" in check.subject for check in problems(run, strict=False))
    record = run.stages["document"]
    other = replace(record.outputs["card"], digest=record.outputs["data_sheet"].digest)
    run.update_stage("document", outputs={**record.outputs, "card": other})
    run.save()
    subject = "approval of survived-classifier:1 by bob"
    results = [check for check in problems(run, strict=False) if check.subject == subject]
    assert [(check.state, check.detail) for check in results] == [(CheckState.ALTERED, "it is about another card")]


def rechain(run: Run) -> None:
    """Write the log again with another actor and valid digests throughout; the signatures are left."""
    with closing(sqlite3.connect(run.project.store_root / "registry.db")) as connection:
        lines = connection.execute("SELECT number, entry FROM mlnb_log ORDER BY number").fetchall()
    previous, statements = ORIGIN, []
    for number, text in lines:
        values = json.loads(text) | {"who": "eve", "previous": previous}
        previous = convert(values, Entry).digest
        entry = json.dumps(values, sort_keys=True, ensure_ascii=False).replace("'", "''")
        statements.append(f"UPDATE mlnb_log SET entry = '{entry}', digest = '{previous}' WHERE number = {number}")
    execute(run, *statements)
    heads = json.loads(head_path(run.project).read_bytes())
    write_json(head_path(run.project), dict.fromkeys(heads, previous))


def test_a_log_that_was_chained_again_fails_by_its_signatures_alone(run: Run) -> None:
    rechain(run)
    without = Run(run.project.with_settings(audit_anchor=""), run.folder, run.record)
    results = problems(without)
    assert [check.detail for check in results] == ["the signature does not match, which has the key of ann"] * 3
    assert {check.subject for check in results} == {f"audit log, entry {number}" for number in (1, 2, 3)}


def test_a_log_that_was_chained_again_fails_by_its_anchored_heads_alone(run: Run) -> None:
    rechain(run)
    keys_path(run.project).unlink()
    with closing(sqlite3.connect(run.project.store_root / "registry.db")) as connection, connection:
        connection.execute("DELETE FROM mlnb_signatures")
    results = [check for check in problems(run, strict=False) if not check.passed]
    assert len(results) == 3 and all("of the anchored head" in check.detail for check in results)


def test_a_manifest_without_a_signature_fails_where_keys_are_trusted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLNB_CONFIG", str(run.project.root / "no key"))
    write_manifest(run)
    assert open_envelope(manifest_path(run).read_bytes(), IN_TOTO, "")[1] == ()
    results = list(verify_run(run, SignaturePolicy(read_trusted_keys(keys_path(run.project)))))
    assert [check.detail for check in results if not check.passed] == ["a signature of a trusted key is required"]
    assert passed(verify_run(run, SignaturePolicy(TrustedKeys())))


def test_a_run_without_a_manifest_is_unsigned_unless_it_is_registered(run: Run) -> None:
    manifest_path(run).unlink()
    policy = SignaturePolicy(TrustedKeys())
    (check,) = [check for check in verify_run(run, policy) if check.state != CheckState.OK]
    assert (check.state, check.passed) == (CheckState.UNSIGNED, True) and "no manifest" in check.detail
    assert not passed(verify_run(run, SignaturePolicy(TrustedKeys(), strict=True)))
    (check,) = [check for check in verify_run(run, policy, "a" * 64) if check.state != CheckState.OK]
    assert (check.state, check.passed) == (CheckState.MISSING, False)


def test_without_keys_all_is_unsigned_and_passes_unless_strict(run: Run) -> None:
    keys_path(run.project).unlink()
    results = problems(run, strict=False)
    assert {check.state for check in results} == {CheckState.UNSIGNED} and passed(results) and len(results) == 4
    assert all("not trusted" in check.detail for check in results)
    assert not passed(problems(run, strict=True))


def test_a_manifest_that_differs_from_the_record_is_found(run: Run) -> None:
    record = run.folder / "run.json"
    record.write_bytes(record.read_bytes().replace(b'"platform": "', b'"platform": "other '))
    write_manifest(read_run(run.project, run.folder))
    results = problems(run, strict=False)
    assert len(results) == 1 and "audit log names" in results[0].detail


def test_changed_code_is_stale(original: Run) -> None:
    stages = dict.fromkeys(["ingest"], original.stages["ingest"])
    run = Run(
        Project.find(original.folder), original.folder, replace(original.record, stages=stages, order=("ingest",))
    )
    assert [check.state for check in check_sources(run)] == [CheckState.OK]
    inputs = run.stages["ingest"].key_inputs
    assert inputs is not None
    run.update_stage("ingest", key_inputs=replace(inputs, code="0" * 64))
    (check,) = check_sources(run)
    assert (check.state, check.passed) == (CheckState.STALE, False) and check.detail == "changed since: 10_ingest.ipynb"
    run.update_stage("ingest", notebook="notebooks/99_gone.ipynb")
    assert "99_gone.ipynb cannot be read" in next(check_sources(run)).detail


def test_the_command_prints_a_line_per_subject(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(run.project.root)
    assert main(["verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  ok        runs/{run.id}/run.json" in lines and lines[-1].endswith(" ok.")
    flip(run.folder / "report.html")
    assert main(["verify", run.id, "--problems"]) == 1
    captured = capsys.readouterr()
    assert f"  altered   runs/{run.id}/report.html" in captured.out and "  ok" not in captured.out
    assert ", 1 altered." in captured.err
    assert main(["verify", "all", "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"subject": f"runs/{run.id}/report.html", "state": "altered", "detail": ""} in lines


def test_a_project_without_runs_or_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["verify", "all"]) == 0 and "nothing to verify" in capsys.readouterr().out
    assert main(["verify"]) == 2 and "No runs in" in capsys.readouterr().err
    assert main(["verify", "@champion"]) == 2 and "no version @champion" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_record_of_a_run_is_a_result(run: Run) -> None:
    (run.folder / "run.json").write_text("{")
    for reference in (run.id, "@champion", "all"):
        assert any(
            check.state == CheckState.ALTERED and "run.json" in check.detail for check in problems(run, reference)
        )
