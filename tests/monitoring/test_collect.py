"""Training data of a challenger, collected from a log with duplicates, damage and several schemas."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.codec import encode
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.labels import add_labels
from mlnb.serving.runtime.log_segments import convert_segment
from mlnb.serving.runtime.prediction_log import PredictionLog

NOTEBOOK = Path(__file__).resolve().parents[2] / "nbs" / "stages" / "12_collect.ipynb"
CONTRACT = ProblemContract(task="binary", target="y", classes=("no", "yes"))


@pytest.fixture
def root(tmp_path):
    root = toys.project(tmp_path, {"12_collect": {}})
    shutil.copy(NOTEBOOK, root / "nbs" / "stages")
    pd.DataFrame({"a": ["1.5", "2"], "c": ["x", "z"], "y": ["no", "yes"]}).to_parquet(root / "past.parquet")
    (root / "contract.json").write_bytes(encode(CONTRACT))
    (root / "log").mkdir()
    return root


def gather(root, *more, code=0):
    values = {"history": "past.parquet", "log": "log", "labels": "labels.db", "contract": "contract.json"}
    given = [part for name, value in values.items() for part in ("-p", f"collect.{name}", str(root / value))]
    return mlnb_in_process(root, "run", "--no-report", *given, *more, code=code)


def met(root, version, rows, at, label="yes"):
    moments = itertools.count()
    recorder = PredictionLog(root / "log", convert=convert_segment, clock=lambda: at + 0.01 * next(moments))
    for number, row in enumerate(rows):
        recorder.record(f"{version}-{number}", version, [row], [{"prediction": "yes"}], 0.001)
    recorder.close()
    add_labels(root / "labels.db", [(f"{version}-{n}", 0, label) for n in range(len(rows))], 0.0)


def test_two_schemas_duplicates_damage_and_unmatched_labels(root):
    met(root, "v1", [{"a": "many", "age": 41}] * 20, 1000.0, "no")  # a was a text, c was not there
    met(root, "v2", [{"a": float(n), "c": "new"} for n in range(40)], 2000.0)
    met(root, "v2", [{"a": 0.0, "c": "new"}], 500.0)  # an earlier request with the same id, as the clock went back
    (root / "log" / "20260101T000000-1-1.parquet").write_bytes(b"PAR1 cut off")
    add_labels(root / "labels.db", [("nobody", 0, "yes")], 0.0)
    add_labels(root / "labels.db", [("v2-1", 0, "no")], 1.0, replace=True)
    gather(root, "-p", "collect.least", "20", "-p", "collect.fresh_rows", "20")
    run = runs.open_run(Project.find(root))
    raw, fresh, provenance = run.load("raw"), run.load("fresh"), run.load("provenance")
    assert (provenance["history"], provenance["logged"], provenance["fresh"], provenance["damaged"]) == (2, 60, 18, 1)
    assert (
        list(raw) == ["a", "c", "y"] and raw["a"][:3].tolist() == ["1.5", "2", "many"] and raw["c"].isna().sum() == 20
    )
    assert raw["y"][2:22].eq("no").all() and raw["y"][raw["a"] == "1"].tolist() == ["no"]  # the label that replaced
    assert (raw["a"] == "0").sum() == 1  # repeated requests count once
    assert fresh["a"].tolist() == list(np.arange(22.0, 40.0)) and set(fresh["y"]) == {"yes"}


def test_too_few_rows_are_reported(root):
    assert "is empty: there is nothing to train on yet" in gather(root, "-p", "collect.labels", "", code=4)
    met(root, "v1", [{"a": 1.0}] * 30, 1000.0)
    output = gather(root, code=4)
    assert "30 labeled rows of the log, 200 are needed: add labels with `mlnb labels add`" in output


def test_the_history_of_a_segment_is_used_alone(root):
    table = pd.DataFrame({"a": ["1", "2", "3"], "c": ["x", "z", "x "], "y": ["no", "yes", "no"]})
    table.to_parquet(root / "past.parquet")
    met(root, "v1", [{"a": float(n)} for n in range(40)], 2000.0)
    segment = ("-p", "collect.each", "c", "-p", "collect.segment", "x")
    gather(root, "-p", "collect.least", "20", "-p", "collect.fresh_rows", "20", *segment)
    raw = runs.open_run(Project.find(root)).load("raw")
    assert raw["a"].astype(float).tolist()[:2] == [1.0, 3.0] and len(raw) == 2 + 28 and set(raw["c"]) == {"x"}
