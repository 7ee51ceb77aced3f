"""The comparison of runs as one file, and the index of all runs."""

import json
import re

import pytest

from mlnb.cli.main import main
from mlnb.codec import replace
from mlnb.errors import UsageError
from mlnb.reports.comparison_page import collect_comparison, write_comparison
from mlnb.reports.run_index import write_index
from mlnb.reports.run_report import write_report
from mlnb.tracking import run_results

A, B = "20260314-091500-train-a1b2", "20260314-101500-train-c3d4"
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def runs(tmp_path_factory, example):
    """Two runs: of the second the score differs, and a column has a name that is HTML."""
    project = example.make_project(tmp_path_factory.mktemp("compared") / "titanic")
    return example.make_run(project, A), example.make_run(project, B, minute=20, score=0.91, feature=HOSTILE)


@pytest.fixture(scope="module")
def same(tmp_path_factory, example):
    """Three runs that differ in nothing but their ids and times."""
    project = example.make_project(tmp_path_factory.mktemp("same") / "titanic")
    ids = [f"20260314-{hour}1500-train-a1b2" for hour in ("09", "10", "11")]
    return [example.make_run(project, name, minute=number) for number, name in enumerate(ids)]


@pytest.fixture(scope="module")
def page(runs):
    return collect_comparison(runs)


def test_metrics_have_intervals_and_the_deciding_one_comes_first(runs, page):
    first = page.metrics[0]
    assert first.name == "roc_auc" and first.decides and first.differs
    assert [estimate.low is not None for estimate in first.estimates] == [True, True]
    assert first.change == pytest.approx(0.91 - first.estimates[0].value)
    names = [metric.name for metric in page.metrics + page.logged]
    assert len(names) == len(set(names)) and "tune.trials" in names and "evaluate.test_roc_auc" not in names
    assert [row.differs for row in page.logged] == sorted((row.differs for row in page.logged), reverse=True)


def test_all_parameters_are_shown_those_that_differ_first(runs, page):
    assert page.different == []
    assert {row.name for row in page.same} == set(run_results.parameter_values(runs[0]))


def test_two_runs_on_the_same_test_rows_have_the_interval_of_their_difference(same):
    both = same[:2]
    page = collect_comparison(both)
    (difference,) = page.differences
    assert re.search(r"ROC AUC \(larger is better\), B minus A: 0 \[0, 0\] on the same 60 test rows", difference.text)
    assert not difference.clear and all(row.same for row in page.plots) and page.code == []
    texts = [collect_comparison(both, difference=lambda *_: "a reason").differences[0].text]
    assert texts == ["No confidence interval of the difference: a reason."]


def test_test_rows_that_were_opened_before_are_counted(tmp_path, example):
    project = example.make_project(tmp_path / "titanic")
    reuse = {"rows": 60, "opened": 11, "trained": 49, "unknown": 0, "lost": 0}
    change = {"metrics": lambda metrics: {**metrics, "reuse": reuse}}
    both = example.make_run(project, A), example.make_run(project, B, minute=20, change=change)
    text = write_comparison(both).read_text(encoding="utf-8")
    assert "<p>B: 11 of 60 test rows were in a test set opened before" in text and "<p>A: " not in text


def test_plots_that_differ_come_first_in_pairs(page):
    assert page.plots and all(list(map(len, row.images)) == [1, 1] for row in page.plots)
    assert [row.same for row in page.plots] == sorted(row.same for row in page.plots)


def test_plots_that_cannot_be_paired_are_shown_in_one_row(same):
    notebook = same[2].folder / "notebooks" / "25_explore.ipynb"
    before = notebook.read_bytes()
    cells = json.loads(before)["cells"]
    plotted = [cell for cell in cells if any("image/png" in out.get("data", {}) for out in cell.get("outputs", []))]
    plotted[0]["outputs"] *= 2
    notebook.write_text(json.dumps({"cells": cells, "nbformat": 4}))
    row = collect_comparison([same[0], same[2]]).plots[0]
    notebook.write_bytes(before)
    assert not row.same and len(row.images[1]) > len(row.images[0]) > 0


def test_the_file_is_self_contained_and_names_are_escaped(runs):
    path = write_comparison(runs)
    page = path.read_text(encoding="utf-8")
    assert path.parent == runs[0].project.runs / "comparisons" and path.stat().st_mode & 0o077 == 0
    assert "default-src 'none'" in page and "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    write_report(runs[0])
    assert f'href="../{A}/report.html"' in write_comparison(runs).read_text(encoding="utf-8")


@pytest.mark.parametrize("chosen", [[], [0], [0, 0], [0, 1, 0]])
def test_other_numbers_of_runs_are_refused(runs, chosen):
    with pytest.raises(UsageError, match="expected 2 to 6 different ones"):
        collect_comparison([runs[index] for index in chosen])


def test_more_than_two_runs_are_compared_with_the_first(same):
    page = collect_comparison(same)
    assert [one.letter for one in page.differences] == ["B", "C"] and len(page.metrics[0].estimates) == 3


def test_the_commands_print_the_paths(runs, monkeypatch, capsys):
    monkeypatch.chdir(runs[0].project.root)
    assert main(["report", "--compare", "a1b2", "c3d4"]) == 0
    assert capsys.readouterr().out == f"runs/comparisons/{A}--{B}.html\n"
    assert main(["report", "--all"]) == 0
    assert capsys.readouterr().out == "runs/index.html\n"
    assert main(["report", "--compare", "a1b2"]) == 2


def test_the_index_links_reports_and_names_damaged_runs(tmp_path, example):
    project = example.make_project(tmp_path / "titanic")
    assert "<code>mlnb run</code> starts one" in write_index(project).read_text()
    write_report(example.make_run(project, A))
    other = example.make_run(project, B, upto="split")
    assert "<th>segment</th>" not in write_index(project).read_text()
    other.record = replace(other.record, segment="Köln")
    other.save()
    damaged = project.runs / "20260314-111500-train-dddd"
    damaged.mkdir()
    (damaged / "run.json").write_text("{torn")
    page = write_index(project).read_text()
    assert f'href="{A}/report.html"' in page and f'href="{B}' not in page and B in page
    assert "20260314-111500-train-dddd/run.json is damaged" in page
    assert "<th>segment</th>" in page and '<td class="name">Köln</td>' in page
