"""The options of `mlnb run` that train the same models; the training itself is in `test_segment_runs.py`."""

import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from mlnb.api.run_execution import closing_listeners
from mlnb.api.run_request import RunRequest
from mlnb.api.segment_training import SegmentOptions, find_segments
from mlnb.cli import each
from mlnb.cli.main import main
from mlnb.engine.project import Project
from mlnb.errors import UsageError


def test_options_are_those_of_the_command_line() -> None:
    options = SegmentOptions(each="store", with_global=True, least_rows=5, most=7)
    assert options.words() == ("--each", "store", "--with-global", "--least-rows", "5", "--most", "7")
    assert SegmentOptions(each="*.csv").words() == ("--each", "*.csv")


@pytest.mark.parametrize(
    ("options", "request_of", "message"),
    [
        (SegmentOptions(each="store"), RunRequest(grid=("seed=1,2",)), "state one of them"),
        (SegmentOptions(each="*.csv", with_global=True), RunRequest(), "needs a column"),
        (SegmentOptions(each="*.csv"), RunRequest(data="a.csv"), "both name the data"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    toy_root: Path, options: SegmentOptions, request_of: RunRequest, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        find_segments(Project.find(toy_root), request_of, options, None)


def test_ctrl_c_between_two_runs_prints_the_command_that_continues(
    toy_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(each, "find_segments", press)
    monkeypatch.setattr("sys.argv", ["mlnb", "run", "--each", "store"])
    monkeypatch.chdir(toy_root)
    assert main(["run", "--each", "store"]) == 130
    assert "continue  mlnb run --each store" in capsys.readouterr().err


@pytest.mark.parametrize("before", [True, False])
def test_ctrl_c_while_a_tracker_works_abandons_it(before: bool) -> None:
    abandoned: list[bool] = []

    class Listener:
        def __call__(self, event: object) -> None:
            """Take it."""

        def close(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            while not abandoned:
                time.sleep(0.01)

        def abandon(self) -> None:
            abandoned.append(True)

    expected = contextlib.nullcontext() if before else pytest.raises(KeyboardInterrupt)
    with expected, closing_listeners([Listener()], lambda: before):
        pass
    assert abandoned == [True]
