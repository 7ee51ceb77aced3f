"""The monitor stage on a project of two notebooks: broken columns, drift and performance loss."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.monitoring_records import MonitoringVerdict, Performance
from mlnb.methods.contracts.responses import RowProblem
from mlnb.monitoring.labels import add_labels
from mlnb.serving.runtime.log_segments import convert_segment
from mlnb.serving.runtime.prediction_log import PredictionLog

NOTEBOOK = Path(__file__).resolve().parents[2] / "nbs" / "stages" / "90_monitor.ipynb"
MAKE = """
import numpy as np, pandas as pd
from mlnb.methods.contracts.evaluations import DecidingMetric, Metrics
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.methods.encoding.table_encoder import Encoder
random = np.random.default_rng(0)
training = pd.DataFrame({"a": random.normal(size=800), "b": random.normal(size=800), "y": "no"})
training["c"] = np.array(["x", "z"], dtype=object)[random.integers(0, 2, 800)]
kinds = Column("a", "number"), Column("b", "number"), Column("c", "category", categories=("x", "z"))
schema = Schema((*kinds, Column("y", "category", role="target")), 800)
p = 1 / (1 + np.exp(-2 * training["a"].to_numpy()))
contract = ProblemContract(task="binary", target="y", classes=("no", "yes"), metric="roc_auc", direction="maximize")
stage.save("contract", contract)
stage.save("schema", schema.to_json())
stage.save("training", training)
stage.save("encoder", Encoder.fit(to_arrays(training, schema), schema).to_json())
stage.save("predictions", pd.DataFrame({"truth": "no", "prediction": "no", "p no": 1 - p, "p yes": p}))
deciding = DecidingMetric(name="roc_auc", direction="maximize", value=0.86, low=0.84, high=0.88)
stage.save("metrics", Metrics(rows=200, resamples=100, level=0.95, deciding=deciding, scores={}))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    writes = dict.fromkeys(["contract", "schema", "training", "encoder", "predictions", "metrics"], "a description")
    root = toys.project(tmp_path_factory.mktemp("monitored"), {"10_make": toys.stage("make", MAKE, writes=writes)})
    shutil.copy(NOTEBOOK, root / "nbs" / "stages")
    settings = root / "settings.ini"
    settings.write_text(settings.read_text() + "\n[pipeline monitor]\nstages = monitor\ninputs_from = train\n")
    mlnb_in_process(root, "run", "--no-report")
    return root


def seen(root, name, *, count=700, version="v1", change=None, noise=0.0, labels=1.0, days=1.0, say=None):
    """Serve a window of requests and look at it; return the verdict and the performance."""
    random = np.random.default_rng(len(name))
    log, database = root / "logs" / name, root / f"{name}.db"
    moments = iter(np.linspace(0, 86_400 * days, 2 * count + 50) + 86_400 * len(list((root / "logs").glob("*"))))
    recorder = PredictionLog(log, convert=convert_segment, clock=lambda: float(next(moments)))
    truth = []
    for number in range(count):
        row = {"a": float(random.normal()), "b": float(random.normal()), "c": "xz"[number % 2]}
        p = 1 / (1 + np.exp(-2 * row["a"]))
        happened = random.random() < (p if random.random() >= noise else 0.5)
        row = change(row) if change else row
        answer = {"prediction": "yes" if p >= 0.5 else "no", "probabilities": {"no": 1 - p, "yes": p}}
        recorder.record(f"{name}-{number}", version, [row], [answer], 0.001)
        if random.random() < labels:
            label = "yes" if happened else "no"
            truth.append((f"{name}-{number}", 0, say(label) if say else label))
    recorder.close()
    add_labels(database, truth, 0.0)
    return look(root, log, database)


def look(root, log, database):
    """Look at a log; return the verdict and the performance."""
    mlnb_in_process(root, "run", "monitor", "--no-report", "-p", "log", str(log), "-p", "labels", str(database))
    run = runs.open_run(Project.find(root))
    return run.load("verdict", MonitoringVerdict), run.load("performance", Performance)


def test_without_drift_the_verdict_is_keep(root):
    verdict, performance = seen(root, "calm")
    assert verdict.outcome == "keep", verdict
    assert 0.8 < performance.now.value < 0.92 and verdict.window.rows == 700


def test_a_broken_column_is_reported_as_broken(root):
    verdict, _ = seen(root, "broken", change=lambda row: {"a": row["a"], "c": row["c"]})
    assert verdict.outcome == "watch"
    assert [r.kind for r in verdict.reasons] == ["broken"] and "b: missing in 100%" in verdict.reasons[0].text


def test_a_shift_without_performance_loss_gives_watch(root):
    verdict, performance = seen(root, "shifted", change=lambda row: {**row, "b": row["b"] + 1})
    assert verdict.outcome == "watch" and performance.lost.low < 0
    assert {r.kind for r in verdict.reasons} == {"drift"}


def test_a_performance_loss_gives_retrain(root):
    verdict, performance = seen(root, "worse", noise=0.6)
    assert verdict.outcome == "retrain" and performance.lost.low > 0
    assert verdict.reasons[0].kind == "performance"


def test_performance_waits_for_labels(root):
    verdict, performance = seen(root, "early", noise=0.6, labels=0.3)
    assert performance.now is None and verdict.outcome == "keep"
    assert 0.2 < performance.labels[0].share < 0.4


def test_an_empty_log_is_refused(root, tmp_path):
    empty = tmp_path / "log"
    empty.mkdir()
    output = mlnb_in_process(root, "run", "monitor", "--no-report", "-p", "log", str(empty), code=4)
    assert "is empty: nothing was predicted yet" in output


def test_a_version_that_has_not_answered_is_refused(root):
    log = root / "logs" / "calm"
    output = mlnb_in_process(
        root, "run", "monitor", "--no-report", "-p", "log", str(log), "-p", "version", "v9", code=4
    )
    assert "Version v9 has no rows in the prediction log; the newest row is of v1" in output


def test_a_window_of_one_class_has_no_curve(root):
    verdict, performance = seen(root, "one class", say=lambda label: "no")
    assert performance.now.rows == 700 and performance.now.value is None and performance.lost is None
    assert "performance" not in [reason.kind for reason in verdict.reasons]


def test_a_new_category_and_a_new_class_are_named(root):
    changed = seen(
        root,
        "new words",
        change=lambda row: {**row, "c": "new" if row["b"] > 0.4 else row["c"]},
        say=lambda label: "perhaps" if label == "yes" else label,
    )
    reasons = {reason.kind: reason.text for reason in changed[0].reasons}
    assert changed[0].outcome == "watch" and "such as 'new'" in reasons["broken"]
    assert "labels of a class that the model does not know: 'perhaps'" in reasons["service"]


def test_changed_schema_damaged_segment_duplicates_and_clock_going_back(root):
    """Segments of two versions with other columns and types: no row is lost, and each fault is reported."""
    random = np.random.default_rng(0)
    log, database, labels = root / "logs" / "mixed", root / "mixed.db", []

    def record(version, rows, at):
        recorder = PredictionLog(log, convert=convert_segment, clock=lambda: at)
        for number, row in enumerate(rows):
            p = 1 / (1 + np.exp(-2 * row["a"])) if isinstance(row["a"], float) else 0.5
            answer = {"prediction": "yes" if p >= 0.5 else "no", "probabilities": {"no": 1 - p, "yes": p}}
            recorder.record(f"{version}-{number}", version, [row], [answer], 0.001)
            labels.append((f"{version}-{number}", 0, "yes" if random.random() < p else "no"))
        recorder.close()

    new = [{"a": float(a), "b": float(b), "c": "xz"[n % 2]} for n, (a, b) in enumerate(random.normal(size=(500, 2)))]
    record("v1", [{"a": "high", "age": 41, "c": 3}] * 60, 86_400.0)
    record("v2", new, 3 * 86_400.0)
    record("v2", new[:40], 3 * 86_400.0 + 60)  # repeated requests with the same ids
    record("v2", new[:2], 90 * 86_400.0)  # a clock that was ahead
    (log / "19700105T000000-999999999-1.jsonl").write_text('{"id": "torn", "ti')
    (log / "19700105T000000-1-1.parquet").write_bytes(b"PAR1 cut off")
    labels += [("nobody", 0, "yes"), ("v2-0", 7, "no")]  # of no row of the log
    add_labels(database, labels, 0.0)
    verdict, performance = look(root, log, database)
    assert verdict.window.version == "v2" and verdict.window.damaged == 2
    assert verdict.window.until == 3 * 86_400.0 + 60 and verdict.window.rows == 540
    assert performance.now.rows == 498 and 0.8 < performance.now.value < 0.92  # each request once
    assert [reason.kind for reason in verdict.reasons] == ["service"]
    assert "2 of 602 rows have a time 87 days after all others" in verdict.reasons[0].text
    old = ["-p", "log", str(log), "-p", "version", "v1", "-p", "days", "1"]
    output = mlnb_in_process(root, "run", "monitor", "--no-report", *old, code=4)
    assert "No row of version v1 in the last 1 days" in output


def test_a_log_of_refusals_names_the_missing_column(root):
    log = root / "logs" / "refused"
    recorder = PredictionLog(log, convert=convert_segment)
    for number in range(3):
        recorder.record_refusal(
            f"r{number}", "v1", [RowProblem(row=0, column="b", found="nothing", expected="a number")]
        )
    recorder.close()
    output = mlnb_in_process(root, "run", "monitor", "--no-report", "-p", "log", str(log), code=4)
    assert "nothing was predicted yet" in output and "3 requests were refused, because of 'b'" in output


def test_the_same_log_gives_the_same_verdict(root):
    first = toys.record(root)["stages"]["monitor"]["outputs"]
    seen(root, "again")
    one = toys.record(root)["stages"]["monitor"]["outputs"]
    mlnb_in_process(root, "run", "monitor", "--no-report", "--force", *_again(root))
    assert toys.record(root)["stages"]["monitor"]["outputs"] == one != first
    assert json.dumps(one)


def _again(root):
    log, labels = root / "logs" / "again", root / "again.db"
    return ["-p", "log", str(log), "-p", "labels", str(labels)]
