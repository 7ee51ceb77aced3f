"""Champion and canary, or shadow, on the labels of a prediction log: the gain, what is waited for, and refusals."""

from pathlib import Path

import numpy as np
import pytest
from traffic_log import write_traffic

from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.shared_traffic import TrafficOptions, compare_traffic

CONTRACT = ProblemContract(
    task="binary", target="y", metric="log_loss", direction="minimize", classes=("no", "yes"), positive="yes"
)
OPTIONS = TrafficOptions(resamples=200)


def compare(folder: Path, options: TrafficOptions = OPTIONS, contract: ProblemContract = CONTRACT):
    return compare_traffic(folder / "log", folder / "labels.db", contract, "m:v1", "m:v2", options)


def test_a_better_canary_is_promoted_and_a_worse_one_withdrawn(tmp_path: Path) -> None:
    write_traffic(tmp_path / "up", "m:v1", "m:v2", skills=(0.2, 0.7))
    better = compare(tmp_path / "up")
    assert better.decision == "promote" and not better.paired and better.low > 0, better.reason
    assert 580 <= better.champion.rows + better.challenger.rows <= 600 and better.champion.labeled == 1
    assert better.value == pytest.approx(better.champion.score - better.challenger.score)
    write_traffic(tmp_path / "down", "m:v1", "m:v2", skills=(0.7, 0.2))
    assert compare(tmp_path / "down").decision == "withdraw"
    write_traffic(tmp_path / "same", "m:v1", "m:v2", skills=(0.5, 0.5))
    assert compare(tmp_path / "same").decision == "wait"
    assert compare(tmp_path / "up", TrafficOptions(resamples=200, least_gain=1.0)).decision == "wait"


def test_a_shadow_is_compared_on_the_same_rows(tmp_path: Path) -> None:
    write_traffic(tmp_path, "m:v1", "m:v2", skills=(0.4, 0.5), shadow=True)
    shadow = compare(tmp_path)
    assert shadow.paired and 580 <= shadow.champion.rows == shadow.challenger.rows <= 600
    write_traffic(tmp_path / "canary", "m:v1", "m:v2", skills=(0.4, 0.5))
    canary = compare(tmp_path / "canary")
    assert shadow.high - shadow.low < canary.high - canary.low  # paired, and more rows


def test_young_rows_and_lacking_labels_are_waited_for(tmp_path: Path) -> None:
    write_traffic(tmp_path, "m:v1", "m:v2", skills=(0.2, 0.7), labels=(0.9, 0.5))
    few = compare(tmp_path)
    assert few.decision == "wait" and "of the challenger, 80% are needed" in few.reason and few.value is None
    assert "too large" in compare(tmp_path, TrafficOptions(mature=0.4)).reason
    half = compare(tmp_path, TrafficOptions(label_delay=0.5))
    assert half.champion.rows + half.challenger.rows < 320 and half.until <= few.until - 40_000
    early = compare(tmp_path, TrafficOptions(days=0.05, mature=0.4))
    assert early.decision == "wait" and "labeled requests" in early.reason


def test_one_class_is_no_traceback(tmp_path: Path) -> None:
    write_traffic(tmp_path, "m:v1", "m:v2", skills=(0.2, 0.7), truth=lambda random: 1)
    contract = ProblemContract(task="binary", target="y", metric="roc_auc", classes=("no", "yes"), positive="yes")
    result = compare(tmp_path, contract=contract)
    assert result.decision == "wait" and "undefined" in result.reason and np.isclose(result.champion.labeled, 1)


def test_a_version_without_rows_and_forecasts_are_refused(tmp_path: Path) -> None:
    write_traffic(tmp_path, "m:v1", "m:v3")
    with pytest.raises(UsageError, match="m:v2 has no rows in 30 days"):
        compare(tmp_path)
    with pytest.raises(UsageError, match="mlnb retrain"):
        compare(tmp_path, contract=ProblemContract(task="forecasting", target="y", metric="mase", time="t"))
