"""Run records: short texts of fingerprints, states with outputs, and the first failure."""

from pathlib import Path

import pytest
import toys

from mlnb.codec import decode, encode
from mlnb.engine.project import Project
from mlnb.engine.run_records import (
    ParameterFingerprint,
    RunRecord,
    StageFailure,
    StageRecord,
    StageState,
)
from mlnb.engine.runs import create_run, list_runs, open_run


@pytest.mark.parametrize(
    ("fingerprint", "text"),
    [
        (ParameterFingerprint(value="tpe"), "'tpe'"),
        (ParameterFingerprint(file="0123456789"), "file 01234567"),
        (ParameterFingerprint(folder={"a": "1", "b": "2"}), "folder of 2 files"),
        (ParameterFingerprint(value="x" * 100), "'" + "x" * 56 + "..."),
    ],
)
def test_a_fingerprint_has_a_short_text(fingerprint: ParameterFingerprint, text: str) -> None:
    assert fingerprint.show() == text and len(text) <= 60


def test_finished_and_reused_stages_have_outputs() -> None:
    assert [state for state in StageState if state.has_outputs] == [StageState.FINISHED, StageState.REUSED]


def test_the_first_failure_is_the_failure_of_the_run() -> None:
    failure = StageFailure(error="GateFailed", stage="package", message="GateFailed: 0.8")
    stages = {"tune": StageRecord(), "package": StageRecord(state=StageState.FAILED, error=failure)}
    record = RunRecord(id="r", pid=1, pid_started=None, started="2026", pipeline="train", stages=stages)
    assert record.failure == failure and decode(RunRecord, encode(record)) == record
    assert RunRecord(id="r", pid=1, pid_started=None, started="2026", pipeline="train").failure is None


def test_the_state_of_all_runs_of_a_list_takes_one_query(tmp_path: Path) -> None:
    project, queries = Project.find(toys.chain(tmp_path)), list[str]()

    class Database:
        def living(self, prefix: str) -> dict[str, str]:
            queries.append(prefix)
            return {f"run/{alive.id}": "gpu-1"}

    project.__dict__["database"] = Database()
    others = [create_run(project, "train") for _ in range(3)]
    for run in others:
        run.update(pid=2**30, pid_started="another machine's")
        run.save()
    alive = others[1]
    listed = list_runs(project)
    assert queries == [] and {run.id: run.state for run in listed} == {
        run.id: "running" if run is alive else "killed" for run in others
    }
    assert queries == ["run/"]
    assert open_run(project, alive.id).state == "running" and queries[1:] == [f"run/{alive.id}"]
    assert [run.state for run in list_runs(project)].count("running") == 1 and queries[2:] == ["run/"]
