"""Views of JSON artifacts: other fields are ignored, and missing, damaged or different ones give no view."""

import pytest

from mlnb.codec import replace
from mlnb.errors import DamagedFileWarning
from mlnb.methods.contracts.findings import FindingList
from mlnb.tracking.artifact_views import BestTrial, load_findings, load_record, load_view


def test_a_view_ignores_other_fields(tmp_path, example):
    run = example.make_run(example.make_project(tmp_path / "titanic"))
    best = load_view(run, "best", BestTrial)
    assert best.family == run.load("best")["family"] and best.params == run.load("best")["params"]
    findings = load_record(run, "findings", FindingList).findings
    assert {finding.severity for finding in findings} <= {"error", "warning", "info"} and findings


def test_missing_damaged_and_different_artifacts_give_no_view(tmp_path, example):
    project = example.make_project(tmp_path / "titanic")
    run = example.make_run(project, change={"best": lambda best: {"family": 7}, "findings": lambda _: [{"a": 1}]})
    with pytest.warns(DamagedFileWarning):
        assert load_view(run, "best", BestTrial) is None
    with pytest.warns(DamagedFileWarning):
        assert load_record(run, "findings", FindingList) is None
    assert load_record(run, "drift", FindingList) is None
    project.store.path(run.require_output("best").digest).unlink()
    with pytest.warns(DamagedFileWarning):
        assert load_view(run, "best", BestTrial) is None


def test_a_split_is_not_proposed_to_a_run_that_states_one(tmp_path, example):
    proposed = {"check": "split", "severity": "warning", "column": "age", "rows": None, "message": "m", "action": "a"}
    change = {"findings": lambda record: {**record, "findings": [proposed]}}
    run = example.make_run(example.make_project(tmp_path / "titanic"), change=change)
    assert [one.check for one in load_findings(run)][:1] == ["split"]
    stage = run.record.stages["split"]
    stated = {**stage.parameters, "time": replace(stage.parameters["time"], value="age")}
    run.record = replace(run.record, stages={**run.record.stages, "split": replace(stage, parameters=stated)})
    assert not [one for one in load_findings(run) if one.check == "split"]
