"""A run record, read."""

import importlib.metadata

import pytest

from mlnb.tracking import run_facts
from mlnb.tracking.notebook_plots import read_plots


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


def test_parameters_and_metrics_by_stage(project, example):
    record = example.make_run(project).record
    assert run_facts.parameters(record)["tune.sampler"] == {"value": "random", "from": "-p"}
    assert run_facts.metrics(record)["evaluate.test_roc_auc"] > 0.5
    assert run_facts.versions(record)["lightgbm"] == importlib.metadata.version("lightgbm")
    assert run_facts.producer(record, "gate") == "evaluate"


def test_a_table_is_read_without_pandas_and_missing_ones_are_empty(project, example):
    run = example.make_run(project, upto="tune")
    assert run_facts.table(run, "trials")[0]["family"] in ("lightgbm", "linear")
    assert run_facts.table(run, "predictions") == []
    assert run_facts.load(run, "metrics") is None
    assert run_facts.verdict(run)["winner"] == run.load("best")["family"]
    assert run_facts.verdict(run)["value"] is None


def test_a_lost_object_is_none(project, example):
    run = example.make_run(project)
    for name in ("metrics", "trials"):
        project.store.drop(run.output(name)["digest"])
    assert run_facts.load(run, "metrics") is None
    assert run_facts.table(run, "trials") == []


def test_exit_codes(project, example):
    record = example.make_run(project, failed="tune").record
    assert run_facts.exit_code(record) == 3
    assert run_facts.failure(record)["stage"] == "tune"
    for kind, code in [("CellTimeout", 5), ("GateFailed", 4), ("no such thing", 1)]:
        record["stages"]["tune"]["error"]["kind"] = kind
        assert run_facts.exit_code(record) == code
    assert run_facts.exit_code({"state": "interrupted"}) == 130
    assert run_facts.exit_code({"state": "finished"}) == 0


def test_plots_have_the_title_of_their_step(project, example, tmp_path):
    run = example.make_run(project)
    plots = read_plots(run.folder / "notebooks/25_explore.ipynb")
    assert "Distributions" in [plot.title for plot in plots]
    first, second, *_ = read_plots(run.folder / "notebooks/50_tune.ipynb")
    assert second.title == f"{first.title} (2)"  # of the same step
    assert plots[0].size == (1, 1)
    assert read_plots(tmp_path / "none.ipynb") == []
    (tmp_path / "broken.ipynb").write_text("{")
    assert read_plots(tmp_path / "broken.ipynb") == []
