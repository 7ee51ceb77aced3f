"""The progress of many runs: how many have ended, in lines or as JSON."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mlnb.api.queue_progress import QueueProgress, describe_result
from mlnb.engine.events import RunFinished, RunStarted, StageStarted
from mlnb.tracking.run_results import Verdict
from mlnb.tracking.segment_results import SegmentResult, SegmentState

RUN: Any = SimpleNamespace(id="r1", record=SimpleNamespace(segment="Köln"))
RESULT = SegmentResult(
    segment="Köln",
    state=SegmentState.FINISHED,
    seconds=2.5,
    verdict=Verdict(metric="rmse", value=2.5, low=1.5, high=3.5, gate=False),
)


def test_each_segment_that_ended_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = QueueProgress(12)
    progress(RunStarted(RUN))
    progress(StageStarted(RUN, "tune", "never run"))
    assert progress._draw().plain == "0 of 12 segments ended; running: Köln (tune)"
    progress(RunFinished(RUN))
    progress.end(RESULT)
    progress.close()
    assert capsys.readouterr().out == "   1 of 12  Köln  finished  rmse 2.500 [1.500, 3.500]  gate failed  2.5 s\n"
    assert progress._draw().plain == "1 of 12 segments ended"


def test_lines_of_json_name_the_segment(capsys: pytest.CaptureFixture[str]) -> None:
    progress = QueueProgress(1, as_json=True)
    progress(StageStarted(RUN, "tune", "never run"))
    progress.end(RESULT)
    started, ended = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert started == {"event": "stage_started", "segment": "Köln", "run": "r1", "stage": "tune"}
    assert (ended["ended"], ended["total"], ended["segment"], ended["verdict"]["value"]) == (1, 1, "Köln", 2.5)


def test_a_segment_without_a_result_has_its_reason() -> None:
    skipped = SegmentResult(segment="", state=SegmentState.SKIPPED, note="no value")
    assert describe_result(skipped) == "(no value)  skipped  no value"
