"""A run record, read."""

import pytest

from mlnb.tracking import facts
from mlnb.tracking.plots import read_plots


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


def test_parameters_and_metrics_by_stage(project, example):
    record = example.make_run(project).record
    assert facts.parameters(record)["tune.sampler"] == {"value": "random", "from": "-g"}
    assert facts.metrics(record)["evaluate.roc_auc"] == 0.8623
    assert facts.versions(record) == {"lightgbm": "4.7.0", "pandas": "3.0.6"}
    assert facts.producer(record, "gate") == "evaluate"


def test_a_table_is_read_without_pandas_and_missing_ones_are_empty(project, example):
    run = example.make_run(project, upto="tune")
    assert facts.table(run, "trials")[0]["family"] == "lightgbm"
    assert facts.table(run, "predictions") == []
    assert facts.load(run, "metrics") is None
    assert facts.verdict(run)["winner"] == "lightgbm"
    assert facts.verdict(run)["value"] is None


def test_a_lost_object_is_none(project, example):
    run = example.make_run(project)
    for name in ("metrics", "trials"):
        project.store.drop(run.output(name)["digest"])
    assert facts.load(run, "metrics") is None
    assert facts.table(run, "trials") == []


def test_exit_codes(project, example):
    record = example.make_run(project, failed="tune").record
    assert facts.exit_code(record) == 3
    assert facts.failure(record)["stage"] == "tune"
    for kind, code in [("CellTimeout", 5), ("GateFailed", 4), ("no such thing", 1)]:
        record["stages"]["tune"]["error"]["kind"] = kind
        assert facts.exit_code(record) == code
    assert facts.exit_code({"state": "interrupted"}) == 130
    assert facts.exit_code({"state": "finished"}) == 0


def test_plots_have_the_title_of_their_step(project, example, tmp_path):
    run = example.make_run(project)
    plots = read_plots(run.folder / "notebooks/25_explore.ipynb")
    assert [plot.title for plot in plots][2:] == ["Target against features", "Target against features (2)"]
    assert plots[0].size == (1, 1)
    assert read_plots(tmp_path / "none.ipynb") == []
    (tmp_path / "broken.ipynb").write_text("{")
    assert read_plots(tmp_path / "broken.ipynb") == []
