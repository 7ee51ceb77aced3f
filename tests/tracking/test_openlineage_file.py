"""Events of OpenLineage: their structure by the classes of its Python client, their lineage, and failures."""

import json
from uuid import UUID

import pytest
from data_runs import data_project, ingest
from openlineage.client.generated import (
    data_quality_metrics_input_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
)

from mlnb.api.run_execution import start_listeners
from mlnb.engine.events import (
    RunFinished,
    RunStarted,
    StageFailed,
    StageFinished,
    StageRetried,
    StageReused,
    StageStarted,
)
from mlnb.engine.run_records import RunState, StageAttempt, StageFailure, StageState
from mlnb.errors import SettingsError
from mlnb.tracking.openlineage_file import OpenLineageFile

FACETS = {  # by name in the event: the class of the client
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet,
    "parent": parent_run.ParentRunFacet,
    "errorMessage": error_message_run.ErrorMessageRunFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "documentation": documentation_job.DocumentationJobFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "schema": schema_dataset.SchemaDatasetFacet,
    "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}
EVENT = {"eventType", "eventTime", "run", "job", "inputs", "outputs", "producer", "schemaURL"}


@pytest.fixture
def run(tmp_path):
    """A run that has read a table."""
    project = data_project(tmp_path)
    (tmp_path / "people.csv").write_text("name,age\nann,31\nbob,\neve,44\n")
    run = ingest(project, "people.csv", 1)
    run.update_stage("ingest", description="Any table, read once.", reads={})
    return run


def lines(run, *events):
    """Return the events that a listener has written."""
    path = run.project.root / "lineage" / "events.jsonl"
    listener = OpenLineageFile(path)
    for event in events:
        listener(event)
    written = [json.loads(line) for line in path.read_text().splitlines()]
    for event in written:
        check(event)
    return written


def check(event):
    """Check an event: fields that the specification has, and each facet by the class of the client."""
    assert event.keys() == EVENT and event["eventType"] in ("START", "COMPLETE", "FAIL", "ABORT", "OTHER")
    assert event["eventTime"].endswith("Z") and ":" in event["producer"] and UUID(event["run"]["runId"])
    groups = [event["run"]["facets"], event["job"]["facets"]]
    for dataset in event["inputs"] + event["outputs"]:
        assert {"namespace", "name", "facets"} <= dataset.keys()
        groups += [dataset[name] for name in ("facets", "inputFacets", "outputFacets") if name in dataset]
    for facets in groups:
        for name, facet in facets.items():
            client = FACETS[name]
            values = {key: value for key, value in facet.items() if not key.startswith("_")}
            client(**values)  # refuses unknown and missing fields
            assert facet["_schemaURL"] == client._get_schema() and facet["_producer"] == event["producer"]


def test_a_run_and_its_stages_start_and_complete(run):
    run_start, start, complete, end = lines(
        run, RunStarted(run), StageStarted(run, "ingest", "new"), StageFinished(run, "ingest"), RunFinished(run)
    )
    assert [event["eventType"] for event in (run_start, start, complete, end)] == [
        "START",
        "START",
        "COMPLETE",
        "COMPLETE",
    ]
    assert (run_start["job"]["name"], start["job"]["name"]) == ("train", "train.ingest")
    assert start["run"]["facets"]["parent"]["run"]["runId"] == run_start["run"]["runId"] == end["run"]["runId"]
    assert start["run"]["runId"] == complete["run"]["runId"] != end["run"]["runId"]
    assert complete["job"]["facets"]["documentation"]["description"] == "Any table, read once."
    assert start["inputs"] == start["outputs"] == []


def test_data_sets_have_versions_columns_and_quality(run):
    (complete, end) = lines(run, StageFinished(run, "ingest"), RunFinished(run))
    (source,) = complete["inputs"]
    assert (source["namespace"], source["name"]) == ("file", f"{run.project.root.as_posix()}/people.csv")
    assert source["facets"]["version"]["datasetVersion"] == run.load("provenance")["digest"]
    assert [one["name"] for one in source["facets"]["schema"]["fields"]] == ["name", "age"]
    quality = source["inputFacets"]["dataQualityMetrics"]
    assert quality["rowCount"] == 3 and set(quality["columnMetrics"]) == {"name", "age"}
    outputs = {one["name"]: one for one in complete["outputs"]}
    assert set(outputs) == {"raw", "provenance", "declarations"}
    assert outputs["raw"]["facets"]["version"]["datasetVersion"] == run.require_output("raw").digest
    assert outputs["raw"]["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert "schema" not in outputs["provenance"]["facets"]
    assert end["inputs"] == complete["inputs"] and {one["name"] for one in end["outputs"]} == set(outputs)
    assert "ann" not in json.dumps([complete, end])  # no value of the table


def test_failures_and_repeated_attempts(run):
    attempt = StageAttempt(started="a", finished="b", error="CellFailed", message="ConnectionError: cut", wait=1.0)
    run.update_stage("ingest", state=StageState.FAILED, attempts=(attempt,), outputs={})
    failure = StageFailure(error="CellFailed", stage="ingest", message="ConnectionError: cut")
    retried = lines(run, StageRetried(run, "ingest", "ConnectionError: cut"), StageStarted(run, "ingest", "again"))
    assert [event["eventType"] for event in retried] == ["OTHER"]
    run.update_stage("ingest", error=failure)
    run.update(state=RunState.FAILED)
    failed, end = lines(run, StageFailed(run, "ingest", "ConnectionError: cut"), RunFinished(run))[1:]
    assert (failed["eventType"], end["eventType"]) == ("FAIL", "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "ConnectionError: cut"
    assert end["run"]["facets"]["errorMessage"]["message"] == "ingest: ConnectionError: cut" and end["outputs"] == []
    run.update_stage("ingest", state=StageState.INTERRUPTED)
    assert lines(run, StageFailed(run, "ingest", ""))[-1]["eventType"] == "ABORT"


def test_a_reused_stage_starts_and_completes(run):
    assert [event["eventType"] for event in lines(run, StageReused(run, "ingest"))] == ["START", "COMPLETE"]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("sklearn:wine", ("sklearn", "wine")),
        ("s3://bucket/in/a.csv", ("s3://bucket", "in/a.csv")),
        ("postgresql://ann:secret@db:5432/shop::orders", ("postgresql://db:5432", "shop::orders")),
    ],
)
def test_sources_are_named_without_secrets(run, source, expected):
    data = run.stages["ingest"].parameters["data"]
    run.update_stage("ingest", parameters={"data": type(data)(value=source, origin="-p")})
    (complete,) = lines(run, StageFinished(run, "ingest"))
    assert (complete["inputs"][0]["namespace"], complete["inputs"][0]["name"]) == expected


def test_the_setting_names_the_file(tmp_path, monkeypatch):
    project = data_project(tmp_path)
    assert start_listeners(project, None) == []
    (listener,) = start_listeners(project.with_settings(openlineage="out/lineage.jsonl"), None)
    assert listener.path == tmp_path / "out" / "lineage.jsonl"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (listener,) = start_listeners(project.with_settings(openlineage="~/lineage.jsonl"), None)
    assert listener.path == tmp_path / "home" / "lineage.jsonl"


@pytest.mark.parametrize("path", ["file/events.jsonl", "folder", f"{'x' * 300}.jsonl"])
def test_a_file_that_cannot_be_written_is_an_error_before_the_run(tmp_path, path):
    project = data_project(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match=r"openlineage names .* cannot be written: .* Expected a file"):
        start_listeners(project.with_settings(openlineage=path), None)
