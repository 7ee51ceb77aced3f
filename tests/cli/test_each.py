"""One model for each segment: shared stages run once, a failure is isolated, and a second run computes nothing."""

import json
from pathlib import Path

import pytest
import segmented
from in_process import mlnb_in_process

from mlnb.cli.segment_table import segment_table
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, list_runs
from mlnb.tracking.run_results import Verdict
from mlnb.tracking.segment_results import SegmentResult, SegmentState

EACH = ("run", "--each", "store", "--no-report")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project after a first run in which one of two models failed, and the output."""
    root = segmented.project(tmp_path_factory.mktemp("each"))
    return root, mlnb_in_process(root, *EACH, "-p", "split.fail", "New York", code=3)


def runs_of(root: Path, segment: str) -> list[Run]:
    return [run for run in list_runs(Project.find(root)) if run.record.segment == segment]


def test_shared_stages_run_once_and_a_failure_leaves_the_others_finished(trained: tuple[Path, str]) -> None:
    root, output = trained
    (koln,), (york,), (shared,) = (runs_of(root, name) for name in ("Köln/Ost", "New York", ""))
    assert koln.load("model") == ["Köln/Ost", 1, sum(range(60))]
    assert koln.stages["validate"].from_run == shared.id and not shared.has("rows")
    assert york.state == "failed" and koln.record.group == york.record.group == f"each-{koln.id}"
    assert "1 finished" in output and "1 failed" in output and "4 skipped" in output
    assert "New York: failed, stage split: ValueError: New York is not to be learned" in output
    assert "continue  mlnb run --each store" in output


def test_segments_that_cannot_be_learned_are_explained(trained: tuple[Path, str]) -> None:
    output = trained[1]
    assert "tiny: skipped, too few rows: a model needs 50" in output
    assert "same: skipped, one class: all rows are 'no'" in output
    assert "new york: skipped, differs from 'New York' in upper and lower case only" in output
    assert "(no value): skipped" in output


def test_a_plan_names_the_stages_of_each_segment(trained: tuple[Path, str], tmp_path: Path) -> None:
    plans = json.loads(mlnb_in_process(trained[0], "plan", "--each", "store", "--json"))
    segments = {one["segment"]: one for one in plans["segments"]}
    assert plans["shared"] == [] and segments["New York"]["run"][0] == "split" and segments["New York"]["reused"]
    assert segments["tiny"]["skipped"].startswith("too few rows") and segments["tiny"]["run"] == []
    text = mlnb_in_process(trained[0], "plan", "--each", "store")
    assert "2 of 6 segments would run." in text and "skipped: one class" in text
    text = mlnb_in_process(segmented.project(tmp_path), "plan", "--each", "store")
    assert "shared stages that run first: " in text and "The segments of store are known" in text
    assert "expected no -g" in mlnb_in_process(trained[0], "plan", "--each", "store", "--push", code=2)
    assert "--least-rows is for" in mlnb_in_process(trained[0], "plan", "--least-rows", "9", code=2)


def test_a_plan_knows_the_segments_when_another_run_has_the_shared_stages(tmp_path: Path) -> None:
    root = segmented.project(tmp_path)
    mlnb_in_process(root, "run", "--no-report", code=3)  # its split needs a segment; validate is stored
    assert "2 of 6 segments would run." in mlnb_in_process(root, "plan", "--each", "store")
    assert "did you mean 'store'" in mlnb_in_process(root, "plan", "--each", "stores", code=2)


def test_the_same_command_continues_and_then_computes_nothing(trained: tuple[Path, str]) -> None:
    root, before = trained[0], len(list_runs(Project.find(trained[0])))
    output = mlnb_in_process(root, *EACH)
    assert runs_of(root, "New York")[0].state == "finished" and len(list_runs(Project.find(root))) == before + 2
    assert "2 finished" in output  # with another value of split.fail both run; `train` of Köln/Ost is reused
    assert runs_of(root, "Köln/Ost")[0].stages["train"].state == "reused"
    lines = mlnb_in_process(root, *EACH, "--json").splitlines()
    assert json.loads(lines[-1]) == {"event": "segments", "states": {"reused": 2, "skipped": 4}}
    assert len(list_runs(Project.find(root))) == before + 2
    finished = f"nothing to do: run {runs_of(root, 'New York')[0].id}"
    assert finished in mlnb_in_process(root, "plan", "--each", "store")


def test_runs_are_listed_and_shown_with_their_segment(
    trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = mlnb_in_process(trained[0], "runs", "--filter", "segment=Köln/Ost")
    assert "segment" in text.splitlines()[0] and "Köln/Ost" in text and "New York" not in text
    assert "segment Köln/Ost" in mlnb_in_process(trained[0], "show", runs_of(trained[0], "Köln/Ost")[0].id)


def test_a_global_model_is_compared_on_the_rows_that_all_hold_out(trained: tuple[Path, str]) -> None:
    text = mlnb_in_process(trained[0], *EACH, "--with-global")
    lines = [line.split() for line in text.splitlines()]
    assert ["New", "York", "40", "0.5000", "1.000", "0.5000", "[0.5000,", "0.5000]", "segment"] in lines
    assert next(line for line in lines if line[:2] == ["in", "all"])[:3] == ["in", "all", "80"]
    assert "Use one model for each segment: in all they are clearly better" in text
    event = json.loads(mlnb_in_process(trained[0], *EACH, "--with-global", "--json").splitlines()[-1])
    assert event["event"] == "comparison" and event["total"]["difference"]["rows"] == 80
    assert "needs a column" in mlnb_in_process(trained[0], "run", "--each", "*.csv", "--with-global", code=2)


def test_the_number_of_models_has_a_limit(trained: tuple[Path, str]) -> None:
    output = mlnb_in_process(trained[0], *EACH, "--most", "1", code=2)
    assert "makes 2 models, more than --most 1" in output and "--most 2" in output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--each", "stores"), "did you mean 'store'"),
        (("--each", "y"), "is the target"),
        (("--each", "store", "--upto", "validate"), "ends before the models differ"),
        (("--each", "store", "-g", "seed=1,2"), "state one of them"),
        (("--each", "*.csv"), "no file matches"),
        (("--each", "settings.ini", "--data", "a.csv"), "both name the data"),
    ],
)
def test_wrong_options_are_explained(trained: tuple[Path, str], options: tuple[str, ...], message: str) -> None:
    assert message in mlnb_in_process(trained[0], "run", *options, code=2)


def test_a_table_names_metric_and_reasons() -> None:
    verdict = Verdict(metric="roc_auc", value=0.75, low=0.5, high=1.0, gate=True)
    results = [
        SegmentResult(segment="a", state=SegmentState.FINISHED, rows=1200, run="2026-train-ab12", verdict=verdict),
        SegmentResult(segment="", state=SegmentState.SKIPPED, rows=3, note="no value"),
        SegmentResult(segment="b", state=SegmentState.WAITING),
    ]
    text = segment_table("store", results)
    assert "roc_auc" in text.splitlines()[1] and "1,200   0.7500  [0.5000, 1.000]  passed  finished" in text
    assert "(no value): skipped, no value" in text and text.endswith(
        "3 segments of store: 1 finished, 1 skipped, 1 not started"
    )
