"""Views of JSON artifacts: other fields are ignored, and missing, damaged or different ones give no view."""

from mlnb.tracking.artifact_views import BestTrial, Finding, Performance, load_view, load_views


def test_a_view_ignores_other_fields(tmp_path, example):
    run = example.make_run(example.make_project(tmp_path / "titanic"))
    best = load_view(run, "best", BestTrial)
    assert best.family == run.load("best")["family"] and best.params == run.load("best")["params"]
    findings = load_views(run, "findings", Finding)
    assert len(findings) == len(run.load("findings")) > 0
    assert {finding.severity for finding in findings} <= {"error", "warning", "info"}


def test_missing_damaged_and_different_artifacts_give_no_view(tmp_path, example):
    project = example.make_project(tmp_path / "titanic")
    run = example.make_run(project, change={"best": lambda best: {"family": 7}, "findings": lambda _: [{"a": 1}]})
    assert load_view(run, "best", BestTrial) is None and load_views(run, "findings", Finding) == []
    assert load_view(run, "performance", Performance) is None and load_views(run, "drift", Finding) == []
    project.store.drop(run.require_output("best").digest)
    assert load_view(run, "best", BestTrial) is None
