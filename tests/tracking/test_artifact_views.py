"""Views of JSON artifacts: other fields are ignored, and missing, damaged or different ones give no view."""

import pytest

from mlnb.errors import DamagedFileWarning
from mlnb.methods.contracts.findings import FindingList
from mlnb.tracking.artifact_views import BestTrial, load_record, load_view


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
