"""The metric of runs over time: those that can be compared, oldest first, each with its address."""

from dashboard_clients import A, B, C

from mlnb.dashboard.metric_history import metric_history
from mlnb.dashboard.project_views import ProjectView


def test_runs_with_the_most_frequent_metric_are_shown_oldest_first(shop):
    view = ProjectView("shop", shop)
    rows = [view.row(run) for run in view.runs()[0]]
    chart = metric_history(view, rows)
    assert chart.links[:2] == (view.url("runs", A), view.url("runs", B)) and len(chart.x) == 3
    assert chart.series[-1].values[1] == 0.91 and chart.notes[1].startswith(f"{B}; ROC AUC 0.9100 [")
    assert chart.names[0] == "14 Mar 2026, 09:15" and view.url("runs", C) not in chart.links
    assert metric_history(view, rows[-1:]) is None and metric_history(view, []) is None
