"""Run records: short texts of fingerprints, states with outputs, and the first failure."""

import pytest

from mlnb.codec import decode, encode
from mlnb.engine.run_records import (
    ParameterFingerprint,
    RunRecord,
    StageFailure,
    StageRecord,
    StageState,
)


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
