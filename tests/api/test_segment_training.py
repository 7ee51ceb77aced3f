"""The options of `mlnb run` that train the same models; the training itself is in `test_segment_runs.py`."""

from pathlib import Path

import pytest

from mlnb.api.run_request import RunRequest
from mlnb.api.segment_training import SegmentOptions, find_segments
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
