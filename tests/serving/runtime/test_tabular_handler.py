"""Every path to a response gives the same numbers, to the last bit: one row, a few, many, Arrow, Parquet."""

import pyarrow as pa
import pytest
from decoded_tables import decoding
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET
from mlnb.serving.runtime.tabular_handler import TabularHandler

KINDS = [
    ("lightgbm", "binary"),
    ("random_forest", "multiclass"),
    ("hist_gradient_boosting", "regression"),
    ("linear", "binary"),
    ("skewed", "regression"),
]
VALUES = {
    "age": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "fare paid €": st.floats(0, 300),
    "sex": st.sampled_from(["f", "m", "never seen", ""]),
    "note": st.none() | st.text(max_size=12),
    "ok": st.none() | st.booleans(),
    "day": st.none() | st.dates().map(str),
}
ROWS = st.lists(st.fixed_dictionaries(VALUES), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def read():
    with decoding() as function:
        yield function


def respond_to_table(read, task, table, kind=ARROW):
    """Return the responses to a table."""
    slices = read(table, task.request_columns, kind)
    return [response for part in slices for response in task.respond_to_table(part)]


@pytest.fixture(scope="module")
def tasks(material, tmp_path_factory):
    return [
        TabularHandler(ModelParts.load(material(*kind).bundle(tmp_path_factory.mktemp("p") / "s").folder / "model"))
        for kind in KINDS
    ]


@settings(max_examples=25, derandomize=True)
@given(rows=ROWS)
def test_all_paths_agree(tasks, read, rows):
    for task in tasks:
        by_matrix = task._respond_to_matrix(task.encoder.transform(task.read(rows)))
        assert task.respond(rows) == by_matrix
        assert [task.respond([row])[0] for row in rows] == by_matrix
        assert task.respond(rows * 20) == by_matrix * 20
        for kind in (ARROW, PARQUET):
            assert respond_to_table(read, task, pa.Table.from_pylist(rows), kind) == by_matrix


def test_explanations_add_up(tasks):
    for task in tasks:
        for row, why in zip(ROW, task.explain(ROW), strict=True):
            assert why.score == pytest.approx(why.base + sum(why.columns.values()))
            assert set(why.columns) == set(row)
            assert set(why.words["note"]) == {"crew"}
    assert tasks[0].explain([]) == []


def test_a_row_without_its_text_is_explained_without_words(tasks):
    for task in tasks:
        (why,) = task.explain([{**ROW[0], "note": None}])
        assert why.words == {"note": {}}


ROW = [{"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}]


@pytest.mark.parametrize(
    ("columns", "position", "value"),
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
def test_a_table_that_does_not_fit_is_refused_by_column(tasks, read, columns, position, value):
    table = pa.table({name: [value] for name, value in ROW[0].items()} | columns)
    with pytest.raises(BadRows) as caught:
        respond_to_table(read, tasks[0], table)
    assert (caught.value.row, caught.value.column) == position
    assert value in caught.value.found


def test_tables_hold_what_rows_hold(tasks, read):
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
    assert respond_to_table(read, task, rich) == task.respond(ROW)
    least = pa.table({"fare paid €": [7.25], "sex": ["f"]})
    assert respond_to_table(read, task, least) == task.respond([{"fare paid €": 7.25, "sex": "f"}])
    with pytest.raises(BadRows, match="fare paid"):
        respond_to_table(read, task, pa.table({"sex": ["f"]}))
