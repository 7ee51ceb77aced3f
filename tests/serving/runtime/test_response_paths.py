"""Every path to an answer gives the same numbers, to the last bit: one row, a few, many, Arrow, Parquet."""

import io
import json
import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.models.fitted_models import Model, predict
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.response_bodies import to_values
from mlnb.serving.runtime.row_scorers import compile_scorer
from mlnb.serving.runtime.table_bodies import ARROW, PARQUET, read_table, write_table
from mlnb.serving.runtime.tabular_handler import TabularHandler

KINDS = [("lightgbm", "binary"), ("random_forest", "multiclass"), ("hist_boosting", "regression"), ("linear", "binary")]
VALUES = {
    "age": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "fare paid €": st.floats(0, 300),
    "sex": st.sampled_from(["f", "m", "never seen", ""]),
    "note": st.none() | st.text(max_size=12),
    "ok": st.none() | st.booleans(),
    "day": st.none() | st.dates().map(str),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=20)


def to_arrow(rows) -> bytes:
    out, table = io.BytesIO(), pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def to_parquet(rows) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


@pytest.fixture(scope="module")
def tasks(material, tmp_path_factory):
    return [
        TabularHandler(ModelParts.load(material(*kind).bundle(tmp_path_factory.mktemp("p") / "s").folder / "model"))
        for kind in KINDS
    ]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(rows=ROWS)
def test_all_paths_agree(tasks, rows):
    for task in tasks:
        by_matrix = task._respond_to_matrix(task.encoder.transform(task.read(rows)))
        assert task.respond(rows) == by_matrix
        assert [task.respond([row])[0] for row in rows] == by_matrix
        assert task.respond(rows * 20) == by_matrix * 20
        for kind, write in ((ARROW, to_arrow), (PARQUET, to_parquet)):
            assert task.respond_to_table(read_table(write(rows), kind)) == by_matrix


def test_an_ensemble_is_scored_as_in_a_matrix(tasks):
    first, last = tasks[0].parts.model, tasks[3].parts.model
    together = Model("ensemble", "binary", 2, first.features, {"members": [first, last], "weights": [0.3, 0.7]})
    X = np.random.default_rng(0).normal(size=(40, first.features))
    assert [compile_scorer(together)(row) for row in X] == predict(together, X).tolist()


def test_threads_do_not_share_a_buffer(tasks):
    score, rows = compile_scorer(tasks[0].parts.model), np.random.default_rng(1).normal(size=(200, 8))
    rows = np.tile(rows, (1, 5))[:, : tasks[0].parts.model.features]
    expected, found = predict(tasks[0].parts.model, rows).tolist(), {}
    work = [threading.Thread(target=lambda n=n: found.__setitem__(n, [score(row) for row in rows])) for n in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert all(one == expected for one in found.values()) and len(found) == 4


def test_explanations_add_up(tasks):
    for task in tasks:
        for row, why in zip(ROW, task.explain(ROW), strict=True):
            assert why.score == pytest.approx(why.base + sum(why.columns.values()))
            assert set(why.columns) == set(row)
    assert tasks[0].explain([]) == []


ROW = [{"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}]


@pytest.mark.parametrize(
    ("columns", "place", "found"),
    [
        ({"colour": [1]}, (None, "colour"), "unknown column"),
        ({"age": ["x"]}, (0, "age"), "'x'"),
        ({"age": [float("inf")]}, (0, "age"), "inf"),
        ({"age": [True]}, (0, "age"), "True"),
        ({"sex": [["f"]]}, (0, "sex"), "list"),
        ({"day": ["yesterday"]}, (0, "day"), "'yesterday'"),
        ({"ok": [{"a": 1}]}, (0, "ok"), "struct"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_column(tasks, columns, place, found):
    table = pa.table({name: [value] for name, value in ROW[0].items()} | columns)
    with pytest.raises(BadRows) as caught:
        tasks[0].respond_to_table(table)
    assert (caught.value.row, caught.value.column) == place
    assert found in caught.value.found


def test_tables_hold_what_rows_hold(tasks):
    task = tasks[0]
    rich = pa.table(
        {
            "age": pa.array([31], pa.int16()),
            "fare paid €": pa.array([7.25], pa.float32()),
            "sex": pa.array(["f"]).dictionary_encode(),
            "day": pa.array([1588291200000], pa.timestamp("ms", "UTC")),
            "ok": pa.array([True]),
            "note": pa.array(["crew"], pa.large_string()),
        }
    )
    assert task.respond_to_table(rich) == task.respond(ROW)
    least = pa.table({"fare paid €": [7.25], "sex": ["f"]})
    assert task.respond_to_table(least) == task.respond([{"fare paid €": 7.25, "sex": "f"}])
    with pytest.raises(BadRows, match="fare paid"):
        task.respond_to_table(pa.table({"sex": ["f"]}))
    said = to_values(task.respond(ROW))
    again = pa.ipc.open_stream(write_table(said, ARROW)).read_all().to_pylist()
    assert again == said == pq.read_table(io.BytesIO(write_table(said, PARQUET))).to_pylist()


@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_a_body_that_is_no_table_is_refused(kind, monkeypatch):
    for body in (b"", b"PAR1", b"[]", json.dumps(ROW).encode()):
        with pytest.raises(BadRequest) as caught:
            read_table(body, kind)
        assert caught.value.status == 400
    with pytest.raises(BadRequest) as caught:
        read_table((to_arrow if kind == ARROW else to_parquet)(ROW * 3), kind, limit=2)
    assert caught.value.status == 413
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadRequest, match="pip install pyarrow") as caught:
        read_table(b"", kind)
    assert caught.value.status == 415


ALONE = """
import sys
import pyarrow
from mlnb.serving.runtime.row_scorers import import_lightgbm_alone
import_lightgbm_alone()
import lightgbm
pyarrow.array(["x"])
assert lightgbm.Booster and not {"sklearn", "pandas", "matplotlib"} & set(sys.modules)
import sklearn
from mlnb.serving.batch.arrow_columns import to_list
instants = to_list(pyarrow.array([1, 1000], pyarrow.timestamp("ns")))  # for which pyarrow needs pandas after all
assert str(instants[0]).endswith(".000000001")
"""


def test_a_service_imports_lightgbm_alone():
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
