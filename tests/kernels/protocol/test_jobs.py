"""Jobs and events are lines of JSON that come back as they were sent."""

import math

import pytest

from mlnb.kernels.protocol import jobs
from mlnb.kernels.protocol.jobs import CellStarted, JobResult, NotebookJob, ResumeJob, SnapshotPlan
from mlnb.kernels.protocol.messages import MessageError

PLAN = SnapshotPlan(
    snapshots={3: "three"},
    code_cells=(1, 3),
    output_log="log",
    group="g",
    ttl_minutes=1.0,
    max_bytes=1e6,
    variables={"run": "r"},
)


def test_a_job_comes_back_with_its_cells_as_numbers() -> None:
    job = NotebookJob(source="a", target="b", folder=".", parameters={"x": [1, None, "é\n"]}, snapshots=PLAN)
    line = jobs.encode_line(job)
    assert line.count("\n") == 1 and jobs.decode_job(line) == job
    assert jobs.decode_job(jobs.encode_line(ResumeJob(snapshots=None))) == ResumeJob(snapshots=None)


def test_a_parameter_may_be_no_number() -> None:
    job = NotebookJob(source="a", target="b", folder=".", parameters={"x": math.nan, "y": -math.inf})
    again = jobs.decode_job(jobs.encode_line(job))
    assert isinstance(again, NotebookJob) and math.isnan(again.parameters["x"]) and again.parameters["y"] == -math.inf


@pytest.mark.parametrize("event", [CellStarted(cell=1, cells=2, heading="H"), JobResult(state="failed", cause="E: x")])
def test_events_come_back(event: jobs.AnyEvent) -> None:
    assert jobs.decode_event(jobs.encode_line(event)) == event


@pytest.mark.parametrize("line", ["a library printed this\n", '{"type": "Other"}\n'])
def test_anything_else_is_refused(line: str) -> None:
    for decode in (jobs.decode_job, jobs.decode_event):
        with pytest.raises(MessageError):
            decode(line)
