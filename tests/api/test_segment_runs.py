"""`mlnb.run(each=...)` trains the models that `mlnb run --each` trains, and returns their runs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import segmented
import toys
from in_process import mlnb_in_process

import mlnb
from mlnb.api.segment_runs import SegmentRuns
from mlnb.engine.project import Project
from mlnb.engine.runs import list_runs, open_run
from mlnb.errors import CellFailed, ParameterError, UsageError
from mlnb.tracking.segment_results import SegmentResult, SegmentState


@pytest.fixture(scope="module")
def trained(reused_folder: Path) -> Iterator[tuple[Path, SegmentRuns]]:
    """A project in the folder of small projects, whose warm parent is running, and its runs: one has failed."""
    toys.empty(reused_folder)
    root = segmented.project(reused_folder)
    params = {"split.fail": "New York"}
    yield root, mlnb.run(each="store", with_global=True, params=params, report=False, progress=False, folder=root)
    toys.empty(reused_folder)


def test_the_runs_of_segments_are_in_python(trained: tuple[Path, SegmentRuns]) -> None:
    runs = trained[1]
    assert runs["Köln/Ost"].artifact("model") == ["Köln/Ost", 1, sum(range(60))]
    assert [*runs] == ["Köln/Ost", "New York"] and runs["New York"].state == "failed"
    assert [result.segment for result in runs.failed] == ["New York"]
    frame = runs.frame()
    assert frame.loc["tiny", "state"] == "skipped" and frame.loc["tiny", "rows"] == 9
    assert frame.loc["New York", "note"].startswith("stage split: ValueError") and frame.loc["New York", "code"] == 3
    assert "same: skipped (one class: all rows are 'no'" in repr(runs) and "<table" in runs._repr_html_()


def test_a_model_of_all_rows_is_compared(trained: tuple[Path, SegmentRuns]) -> None:
    runs = trained[1]
    table = runs.differences()
    assert runs.whole is not None and [*table.index] == ["Köln/Ost", ""]
    assert table.loc["", ["whole", "own", "difference", "rows"]].tolist() == [0.5, 1.0, 0.5, 40]
    none = SegmentRuns(Project.find(trained[0]), [SegmentResult(segment="a", state=SegmentState.WAITING)])
    assert none.differences().empty and "difference" in none.differences() and len(none) == 0


def test_the_command_line_finds_nothing_to_do_after_the_same_call(
    trained: tuple[Path, SegmentRuns], capsys: pytest.CaptureFixture[str]
) -> None:
    root = trained[0]
    again = mlnb.run(each="store", params={"split.fail": ""}, report=False, folder=root)  # with progress
    assert "2 of 2" not in capsys.readouterr().out.splitlines()[0] and not again.failed
    before = len(list_runs(Project.find(root)))
    lines = mlnb_in_process(root, "run", "--each", "store", "--no-report", "--json").splitlines()
    assert json.loads(lines[-1]) == {"event": "segments", "states": {"reused": 2, "skipped": 4}}
    assert len(list_runs(Project.find(root))) == before
    command = Project.find(root).runs / again["New York"].id / "run.json"
    assert json.loads(command.read_text())["command"][-2:] == ["--each", "store"]


def test_failed_shared_stages_are_an_error(trained: tuple[Path, SegmentRuns], monkeypatch: pytest.MonkeyPatch) -> None:
    root, runs = trained
    failed = open_run(Project.find(root), runs["New York"].id)
    monkeypatch.setattr("mlnb.api.segment_runs.find_segments", lambda *arguments: ([], failed))
    with pytest.raises(CellFailed, match="stage split"):
        mlnb.run(each="store", progress=False, folder=root)


def test_errors_are_those_of_the_command_line(trained: tuple[Path, SegmentRuns]) -> None:
    root = trained[0]
    with pytest.raises(ParameterError, match="did you mean 'store'"):
        mlnb.run(each="stores", progress=False, folder=root)
    with pytest.raises(UsageError, match="more than --most 1"):
        mlnb.run(each="store", most=1, progress=False, folder=root)
    for options in ({"with_global": True}, {"least_rows": 5}, {"most": 5}):
        with pytest.raises(UsageError, match="expected each, too"):
            mlnb.run(folder=root, **options)  # type: ignore[call-overload]
    for options in ({"least_rows": 0}, {"most": 0}):
        with pytest.raises(UsageError, match="expected 1 or more"):
            mlnb.run(each="store", folder=root, **options)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="each is of type int"):
        mlnb.run(each=3, folder=root)  # type: ignore[call-overload]
