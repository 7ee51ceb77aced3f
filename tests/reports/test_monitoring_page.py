"""The monitoring report: its figures, and what it shows without results or with an altered log."""

import pytest
import sqlalchemy as sa

from mlnb.methods.contracts.evaluations import DecidingMetric
from mlnb.methods.contracts.monitoring_records import ColumnDrift, WindowScore
from mlnb.registry.database import LOG
from mlnb.registry.registry import Registry
from mlnb.reports import formatting, monitoring_page
from mlnb.reports.monitoring_results import MonitoringResult
from mlnb.reports.timeline import draw_timeline

DAY = 86_400.0
FIRST = 1_767_225_600.0


def result(number, version="churn:aa", outcome="keep", value=0.86, metric="roc_auc"):
    now = None if value is None else WindowScore(rows=10, value=value, low=value - 0.02, high=value + 0.02)
    test = {"kind": "number", "test": "Kolmogorov-Smirnov", "p": 1.0, "stability": 0.0, "missing_p": 1.0}
    drift = ColumnDrift(column="<age>", effect=0.1 * number, missing_before=0.0, missing_after=0.0, **test)
    return MonitoringResult(
        run=f"run-{number}",
        version=version,
        rows=10 + number,
        until=FIRST + DAY * number,
        outcome=outcome,
        reasons=("a <b>reason</b>",),
        reference=DecidingMetric(name=metric, direction="maximize", value=0.87),
        now=now,
        drift=(drift,),
    )


def test_a_timeline_has_points_intervals_versions_and_the_result_on_the_test_set():
    results = [result(0), result(1, value=None), result(2, outcome="retrain", value=0.7), result(3, "churn:<bb>")]
    drawn = draw_timeline(results, {"churn:aa": "version 1"})
    assert drawn.count("<circle") == 4 and drawn.count('class="point none keep"') == 1
    assert drawn.count('class="range') == 3 and 'class="point act"' in drawn
    assert "version 1" in drawn and "&lt;bb&gt;" in drawn and "<bb>" not in drawn
    assert drawn.count('class="bound"') == 2 and drawn.count('class="change"') == 1
    assert "3 Jan 2026: 0.7000 [0.6800, 0.7200], retrain" in drawn


@pytest.mark.parametrize("results", [[], [result(0)], [result(0, value=None)], [result(0), result(0, "churn:bb")]])
def test_few_results_are_drawn_as_well(results):
    drawn = draw_timeline(results, {})
    assert "nan" not in drawn and drawn.count("<circle") == len(results)


def test_many_versions_share_the_width():
    drawn = draw_timeline([result(n, f"churn:{n:08d}") for n in range(40)], {})
    assert drawn.count("<rect") == 40 and drawn.count('class="version"') < 40
    assert all(float(part.split('"')[1]) <= 1040 for part in drawn.split(" x=")[1:])


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


def shown(project, monkeypatch, results):
    monkeypatch.setattr(monitoring_page, "find_results", lambda project: results)
    return monitoring_page.write_monitoring_report(project).read_text()


def test_nothing_has_happened_yet(project, monkeypatch):
    page = shown(project, monkeypatch, [])
    assert "No model has been monitored" in page and "No version is registered" in page and "<table" not in page


def test_results_of_two_models_are_shown_and_escaped(project, monkeypatch):
    page = shown(project, monkeypatch, [result(0), result(1, "prices:cc", metric="rmse"), result(2, value=None)])
    assert "of churn" in page and "RMSE by version" in page and "ROC AUC by version" in page
    assert "3 results for 2 models" in page and page.index("of churn") < page.index("of prices")
    assert "<b>" not in page and "&lt;age&gt;" in page and "<script" not in page


def test_a_log_that_was_altered_is_said(project, monkeypatch, example):
    run = example.make_run(project, "20260314-091500-train-a1b2")
    registry = Registry(project, "ann")
    registry.register(run)
    assert "One entry in the audit log" in shown(project, monkeypatch, [])
    with registry.engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER mlnb_log_UPDATE")
        connection.execute(sa.update(LOG).values(entry=sa.func.replace(LOG.c.entry, "ann", "eve")))
    page = shown(project, monkeypatch, [])
    assert "was altered" in page and "altered: entry 1" in page and ">eve<" in page
    with registry.engine.begin() as connection:
        connection.execute(sa.update(LOG).values(entry="{torn"))
    page = shown(project, monkeypatch, [])
    assert "was altered" in page and "entry 1 cannot be read" in page and ">eve<" not in page


def test_names_and_times():
    assert (
        formatting.elide("short") == "short" and formatting.elide("a" * 30 + "b" * 30, 20) == "a" * 9 + "…" + "b" * 10
    )
    assert formatting.day(FIRST) == "1 Jan 2026" and formatting.minute(FIRST + 60) == "1 Jan 2026, 00:01"
