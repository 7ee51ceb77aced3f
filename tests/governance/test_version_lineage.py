"""Lineage: from a logged request or any id of a version to approvals, run, training rows and raw data."""

import json
from pathlib import Path
from typing import Any

import pytest
from example_run import Example
from recorded_runs import recorded_run

from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import UnknownRun
from mlnb.governance.version_lineage import Lineage, trace
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database
from mlnb.registry.registry import Registry
from mlnb.serving.runtime.log_segments import convert_segment

ROW = {"fare": 7.25, "sex": "male", "tags": ["a", "b"]}
RESPONSE = {"prediction": "1", "probabilities": {"0": 0.25, "1": 0.75}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    """A registered run whose model has answered requests: one segment is finished, one is still written."""
    run = recorded_run(example, tmp_path_factory.mktemp("lineage"))
    registry = Registry(run.project, "bob")
    registry.approve("1", "report read")
    (version,) = registry.versions()
    registry.engine.dispose()
    folder = run.project.store_root / "predictions" / version.model
    folder.mkdir(parents=True)
    shared: dict[str, Any] = {"model": version.metadata.certificate.model, "ms": 1.0, "shadow": False, "time": 1000.0}
    answered = {**shared, "id": "first", "rows": [ROW, {**ROW, "fare": 8.0}], "responses": [RESPONSE, RESPONSE]}
    refused = {**shared, "id": "wrong", "rows": [], "responses": [], "refused": ["fare"]}
    foreign = {**shared, "id": "foreign", "model": "other:1", "rows": [ROW], "responses": [RESPONSE]}
    text = "".join(json.dumps(line) + "\n" for line in (answered, refused, foreign))
    segment = folder / "20260314T091500-1-ab-1.jsonl"
    segment.write_text(text)
    convert_segment(segment)
    (folder / "20260314T091500-1-ab-2.jsonl").write_text(
        json.dumps({**answered, "id": "second", "time": 2000.0}) + "\n"
    )
    (folder / "20260314T091500-1-ab-3.parquet").write_bytes(b"torn")
    add_labels(label_database(run.project, version.model), [("first", 1, "0")], at=3000.0)
    return run


def only(project: Project, reference: str) -> Lineage:
    (lineage,) = trace(project, reference)
    return lineage


def test_every_id_of_a_version_leads_to_the_same_lineage(run: Run) -> None:
    lineage = only(run.project, "@champion")
    ids = (lineage.version, lineage.tag, lineage.bento, lineage.run, lineage.service, lineage.service[:12], "1")
    assert all(only(run.project, reference) == lineage for reference in ids)
    assert [(entry.what, entry.who) for entry in lineage.changes] == [
        ("registered", "ann"),
        ("promoted", "ann"),
        ("approved", "bob"),
    ]
    assert lineage.run == run.id and len(lineage.manifest) == 64 and lineage.requests == ()
    data = lineage.data
    assert data is not None and data.training == run.require_output("training").digest
    assert data.raw == run.require_output("raw").digest and data.source.endswith("titanic.csv") and data.rows


@pytest.mark.filterwarnings("ignore::mlnb.errors.DamagedFileWarning")
def test_a_request_has_its_segment_inputs_responses_and_labels(run: Run) -> None:
    (request,) = only(run.project, "first").requests
    assert request.segment.endswith("-1.parquet") and request.time == 1000.0 and request.refused is None
    assert [row.row for row in request.rows] == [0, 1] and [row.label for row in request.rows] == [None, "0"]
    assert request.rows[0].inputs == ROW
    assert request.rows[0].response == {"prediction": "1", "probabilities.0": 0.25, "probabilities.1": 0.75}
    (request,) = only(run.project, "second").requests
    assert request.segment.endswith("-2.jsonl") and request.rows[1].inputs["fare"] == 8.0
    (request,) = only(run.project, "wrong").requests
    assert request.refused == "fare" and request.rows == ()


@pytest.mark.filterwarnings("ignore::mlnb.errors.DamagedFileWarning")
def test_what_is_unknown_or_not_registered_is_explained(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UnknownRun, match="Nothing is called 'nope'"):
        trace(run.project, "nope")
    with pytest.raises(UnknownRun, match="answered by other:1, which is not registered"):
        trace(run.project, "foreign")
    with pytest.raises(UnknownRun, match="Nothing is called"):
        trace(Project(tmp_path, tmp_path), "@champion")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::mlnb.errors.DamagedFileWarning")
def test_the_command_prints_the_lineage(run: Run, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(run.project.root)
    assert main(["lineage", "first"]) == 0
    text = capsys.readouterr().out
    for part in (
        "request     first, 1970-01-01",
        "label     0",
        "(champion)",
        "by bob: report read",
        run.id,
        "raw data",
    ):
        assert part in text
    assert main(["lineage", "wrong"]) == 0 and "columns at fault: fare" in capsys.readouterr().out
    assert main(["lineage", "@champion", "--json"]) == 0
    (lineage,) = json.loads(capsys.readouterr().out)
    assert lineage["run"] == run.id and lineage["data"]["training"]
    assert main(["lineage", "nope"]) == 2 and "Nothing is called" in capsys.readouterr().err
