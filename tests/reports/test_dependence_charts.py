"""Partial dependence of a run as charts: one group for each class, one axis, nothing where it is missing."""

import pandas as pd

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.dependence_charts import dependence_charts
from mlnb.tracking.artifact_views import load_record


def test_a_run_has_a_chart_for_each_column_on_one_axis(tmp_path, example):
    run = example.make_run(example.make_project(tmp_path / "shop"))
    (group,) = dependence_charts(run, load_record(run, "contract", ProblemContract))
    table = run.load("partial_dependence")
    assert [chart.x_label for chart in group.charts] == list(table["column"].unique())
    assert len({chart.limits for chart in group.charts}) == 1
    assert all(chart.y_label == "probability of 1" and len(chart.shown) == 1 for chart in group.charts)
    by_sex = next(chart for chart in group.charts if chart.x_label == "sex")
    assert set(by_sex.names) == {"female", "male"} and by_sex.shown[0].kind == "points"


def test_classes_are_groups_and_missing_tables_are_none(tmp_path, example):
    def three(table):
        return pd.concat([table.assign(response=name) for name in ("b", "a", "c")], ignore_index=True)

    project = example.make_project(tmp_path / "shop")
    run = example.make_run(project, change={"partial_dependence": three})
    contract = load_record(run, "contract", ProblemContract)
    assert [group.response for group in dependence_charts(run, contract)] == ["b", "a", "c"]
    assert dependence_charts(run, None) == []
    early = example.make_run(project, "20260314-092500-train-c3d4", upto="train")
    assert dependence_charts(early, contract) == []
    empty = {"partial_dependence": lambda table: table[:0]}
    assert dependence_charts(example.make_run(project, "20260314-093500-train-e5f6", change=empty), contract) == []
