"""The sections of a run's report: their order, what each has, and what an unfinished run lacks."""

from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.run_details import collect_details
from mlnb.reports.run_report import write_report
from mlnb.tracking.artifact_views import load_record


def test_sections_are_in_the_order_of_the_questions_of_a_reader(tmp_path, example):
    page = write_report(example.make_run(example.make_project(tmp_path / "shop"))).read_text(encoding="utf-8")
    names = ("result", "evaluation", "explanations", "data", "stages", "trials", "parameters", "card", "artifacts")
    positions = [page.index(f'<section id="{name}">') for name in names]
    assert positions == sorted(positions)
    parts = [
        page.index(f"<h3>{title}") for title in ("Feature importance", "Partial dependence", "Decision thresholds")
    ]
    assert positions[2] < parts[0] and parts == sorted(parts) and parts[-1] < positions[3]


def test_a_run_without_evaluation_has_only_its_data(tmp_path, example):
    project = example.make_project(tmp_path / "shop")
    run = example.make_run(project, upto="train")
    details = collect_details(run, load_record(run, "contract", ProblemContract), None)
    assert details.evaluation is None and details.explanations is None
    assert details.data.findings and {group.title for group in details.data.plots} >= {"Explore"}
    assert {group.title for group in details.plots} <= {"Features", "Tune", "Train", "Problem"}
    whole = example.make_run(project, "20260314-092500-train-c3d4")
    metrics, contract = load_record(whole, "metrics", Metrics), load_record(whole, "contract", ProblemContract)
    details = collect_details(whole, contract, metrics)
    explanations = details.explanations
    assert explanations.has_shap and not explanations._replace(importance=explanations.importance[:1]).has_shap
    assert details.explanations.importance and details.explanations.positive == "1"
    headings = {heading for group in details.evaluation.plots for heading in group.headings}
    assert "Robustness" in headings and not headings & {"Feature importance", "Partial dependence"}
