"""A run record, read."""

import importlib.metadata

import pytest

from mlnb.codec import replace
from mlnb.engine.run_records import RunState
from mlnb.errors import DamagedFileWarning
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_optional
from mlnb.tracking.notebook_plots import read_plots


@pytest.fixture
def project(tmp_path, example):
    return example.make_project(tmp_path / "titanic")


def test_parameters_and_metrics_by_stage(project, example):
    run = example.make_run(project)
    sampler = run_results.parameters(run)["tune.sampler"]
    assert (sampler.value, sampler.origin) == ("random", "-p")
    assert run_results.metrics(run)["evaluate.test_roc_auc"] > 0.5
    assert run_results.versions(run)["lightgbm"] == importlib.metadata.version("lightgbm")


def test_a_table_is_read_without_pandas_and_missing_ones_are_empty(project, example):
    run = example.make_run(project, upto="tune")
    assert run_results.read_trials(run)[0].family in ("lightgbm", "linear")
    assert "family" in run_results.read_table(run, "trials").columns
    assert run_results.read_table(run, "predictions").rows == []
    assert load_optional(run, "metrics") is None
    assert run_results.verdict(run).winner == run.load("best")["family"]
    assert run_results.verdict(run).value is None


def test_a_missing_object_is_none(project, example):
    run = example.make_run(project)
    for name in ("metrics", "trials"):
        project.store.path(run.require_output(name).digest).unlink()
    with pytest.warns(DamagedFileWarning, match="Artifacts of runs are missing"):
        assert load_optional(run, "metrics") is None
    with pytest.warns(DamagedFileWarning, match="Artifacts of runs are missing"):
        assert run_results.read_trials(run) == []


def test_exit_codes(project, example):
    run = example.make_run(project, failed="tune")
    assert run_results.exit_code(run.record) == 3
    assert run.record.failure.stage == "tune"
    for error, code in [("CellTimeout", 5), ("GateFailed", 4), ("StoreFull", 6), ("ParameterError", 3)]:
        run.update_stage("tune", error=replace(run.stages["tune"].error, error=error))
        assert run_results.exit_code(run.record) == code
    assert run_results.exit_code(replace(run.record, state=RunState.INTERRUPTED)) == 130
    assert run_results.exit_code(replace(run.record, state=RunState.FINISHED)) == 0


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
