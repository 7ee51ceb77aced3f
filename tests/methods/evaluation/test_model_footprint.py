"""Model footprint: warm-up, duration of the measurement, and the gate line of the latency budget."""

from pathlib import Path

import pytest

from mlnb.methods.contracts.gates import GateLine
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.evaluation.model_footprint import (
    MOST,
    WARM,
    Latency,
    describe_footprint,
    folder_bytes,
    latency_line,
    latency_log,
    time_responses,
)


@pytest.fixture
def latency() -> Latency:
    return Latency(median_ms=0.1, p95_ms=0.1, responses=200)


def test_rows_are_used_in_turn_after_a_warm_up() -> None:
    ticks, calls = iter(range(10_000)), []
    time_responses(calls.append, ["a", "b", "c"], clock=lambda: next(ticks) / 10_000)
    assert len(calls) == MOST + WARM and calls[:4] == ["a", "b", "c", "a"]
    assert time_responses(calls.append, []) is None


def test_measurement_ends_in_time() -> None:
    slow = iter(range(10_000))
    measured = time_responses(str, ["a"], clock=lambda: next(slow) * 1.0)
    assert measured is not None and measured.responses < 5


def test_texts_and_metrics(latency: Latency, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.txt").write_bytes(b"abc")
    (tmp_path / "b.txt").write_bytes(b"de")
    assert folder_bytes(tmp_path) == 5 and describe_footprint(5, None) == "5 bytes" and latency_log(None) == {}
    assert describe_footprint(1200, latency).startswith("1,200 bytes; one response takes 0.1 ms")
    assert list(latency_log(latency)) == ["latency_ms", "latency_p95_ms"]


def line(budget: float, measured: Latency | None) -> GateLine:
    return latency_line(ProblemContract(task="binary", latency_ms=budget), measured)[0]


def test_gate_line_does_not_contain_the_time(latency: Latency) -> None:
    met = line(20.0, latency)
    assert met.passed and "1" not in met.found and not line(0.05, latency).passed
    assert line(0.5, None).found.startswith("not measured")
    assert latency_line(ProblemContract(task="binary"), latency) == []
