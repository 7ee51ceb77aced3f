"""Runs in Python: what they hold, how two differ, and their tables in notebooks."""

import numpy as np
import pandas as pd
import pytest
from example_run import EARLIER, RUN

from mlnb.api.recorded_run import RecordedRun, RunList
from mlnb.errors import UnknownRun
from mlnb.methods.contracts.responses import Golden


@pytest.fixture(scope="module")
def engine_runs(example, tmp_path_factory):
    """Two runs of one project; the first has another score, and no report."""
    project = example.make_project(tmp_path_factory.mktemp("runs"))
    return example.make_run(project, EARLIER, score=0.5, minute=2), example.make_run(project)


@pytest.fixture(scope="module")
def runs(engine_runs):
    return [RecordedRun(run) for run in engine_runs]


def test_a_run_has_its_metrics_parameters_and_artifacts(runs):
    first, second = runs
    assert (second.id, second.state, second.folder.name) == (RUN, "finished", RUN)
    assert second.parameters["problem.target"] == "survived" and second.parameters["tune.sampler"] == "random"
    assert first.metrics["evaluate.roc_auc"] == 0.5 != second.metrics["evaluate.roc_auc"]
    assert (second.verdict.metric, second.verdict.value) == ("roc_auc", second.metrics["evaluate.roc_auc"])
    table = second.artifact("table")
    assert isinstance(table, pd.DataFrame) and "survived" in table and "table" in second.artifacts
    with pytest.raises(UnknownRun, match=r"has no artifact 'tabel'; it has .* Did you mean 'table'"):
        second.artifact("tabel")


def test_findings_are_a_frame(runs):
    findings = runs[1].findings()
    assert list(findings) == ["check", "severity", "column", "rows", "message", "action"]
    assert "alive" in set(findings["column"])  # is known only with the target


def test_two_runs_are_compared_by_name(runs):
    first, second = runs
    difference = first.compare(second)
    assert list(difference) == [first.id, second.id, "difference"]
    row = difference.loc[("metric", "evaluate.roc_auc")]
    assert row["difference"] == pytest.approx(row[second.id] - row[first.id]) and row[first.id] == 0.5
    same = first.compare(first)
    assert len(same) == 0 and list(same.index.names) == ["kind", "name"]


def test_the_model_of_a_run_gives_the_recorded_predictions(engine_runs, runs):
    golden = engine_runs[1].load("golden", Golden)
    model = runs[1].load_model()
    assert model.predict(list(golden.rows)).tolist() == [row["prediction"] for row in golden.predictions]
    probabilities = np.array([list(row["probabilities"].values()) for row in golden.predictions])
    assert (model.predict_proba(pd.DataFrame(golden.rows)).to_numpy() == probabilities).all()


def test_a_run_without_a_packaged_model_says_so(example, tmp_path):
    run = RecordedRun(example.make_run(example.make_project(tmp_path), upto="evaluate"))
    with pytest.raises(UnknownRun, match=r"has no packaged model: it is finished. `mlnb run` continues it"):
        run.load_model()
    assert run.report is None


def test_runs_are_shown_in_notebooks(runs, example, tmp_path):
    listed = RunList(list(reversed(runs)))
    assert len(listed) == 2 and listed[0] is runs[1] and len(listed[:1]) == 1 and list(listed) == runs[::-1]
    assert repr(listed).splitlines()[0].startswith(f"<RecordedRun {RUN}: finished, ")
    assert listed._repr_html_().count("<tr>") == 3 and RUN in listed._repr_html_()
    assert "titanic.csv" in runs[0]._repr_html_() and "roc_auc 0.5" in runs[0]._repr_html_()
    frame = listed.frame()
    assert list(frame.index) == [RUN, EARLIER] and frame.loc[EARLIER, "evaluate.roc_auc"] == 0.5
    assert (RunList([])._repr_html_(), repr(RunList([])), len(RunList([]).frame())) == ("<p>no runs</p>", "no runs", 0)
    hostile = RecordedRun(example.make_run(example.make_project(tmp_path), feature="<b>&", failed="train"))
    assert "<b>&" not in hostile._repr_html_() and "failed" in hostile._repr_html_()
