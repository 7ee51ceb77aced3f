"""Encoders of a project: the same bits for one row, a batch and when loaded; cross-fitted; faults name the file."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from custom_encoders import CODE, FILE, moments
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.errors import ColumnEncoderError, ParameterError
from mlnb.methods.encoding import row_encoder
from mlnb.methods.encoding.custom_encoders import CustomCodec, EncoderCode, declare_encoder, load_column_encoder
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.methods.training_data.cross_validation import encode_folds

CELLS: dict[str, st.SearchStrategy[Any]] = {
    "number": st.none() | st.floats(width=64) | st.integers(-(2**60), 2**60),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.text(max_size=3) | st.integers(0, 3),
    "text": st.none() | st.text(max_size=20),
    "date": st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
}
MEANS = """
import numpy as np
from mlnb.methods.encoding.encoder_interface import ColumnEncoder


class Mean:
    names = ("mean",)

    def __init__(self, means):
        self.means = means

    def transform(self, values):
        return np.array([[self.means.get(value, 0.0)] for value in values])

    def save(self):
        return self.means


class Means(ColumnEncoder):
    name, kinds, supervised = "means", ("category",), True

    def fit(self, values, y, spec):
        assert spec.classes in (0, 2)
        return Mean({value: float(np.mean(y[values == value])) for value in sorted(set(values.tolist()))})

    def load(self, saved, files):
        return Mean(saved)
"""


@settings(max_examples=120)
@given(st.data())
def test_a_row_alone_has_the_bits_of_the_batch_and_of_the_loaded_encoder(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(CELLS)))
    schema = Schema((Column("a", kind), Column("b", "number")))
    row = st.fixed_dictionaries({"a": CELLS[kind], "b": CELLS["number"]})
    learned, rows = (data.draw(st.lists(row, min_size=1, max_size=6)) for _ in range(2))
    try:
        encoder = Encoder.fit(to_arrays(learned, schema), schema, encoders={"a": moments()})
    except ColumnEncoderError as error:
        assert "all values of the column 'a' are missing" in str(error)
        return
    try:
        whole = encoder.transform(to_arrays(rows, schema))
    except ValueError:  # a value that does not fit the schema
        return
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again.names == encoder.names and again.transform(to_arrays(rows, schema)).tobytes() == whole.tobytes()
    encode = compile_row(schema, again)
    for number, cells in enumerate(rows):
        alone = encode(cells)
        assert alone is None or alone.tobytes() == whole[number].tobytes()
        assert again.transform(to_arrays([cells], schema)).tobytes() == whole[number].tobytes()


def test_without_encoders_the_stored_encoder_is_as_before() -> None:
    schema = Schema((Column("a", "number"),))
    assert "encoders" not in Encoder.fit({"a": np.array([1.0])}, schema).to_json()["options"]


def test_declared_missing_values_and_sentinels_are_missing_in_both_paths() -> None:
    schema = Schema((Column("a", "number", sentinels=(-1.0,)),))
    encoder = Encoder.fit({"a": np.array([1.0, np.nan, 3.0])}, schema, encoders={"a": moments()})
    assert encoder.names == ("a: above", "a: measure", "a is missing")
    alone, whole = compile_row(schema, encoder)({"a": -1}), encoder.transform(to_arrays([{"a": -1}], schema))[0]
    assert alone is not None and alone.tobytes() == whole.tobytes() and whole[2] == 1.0


def test_rows_that_are_encoded_at_the_same_time_do_not_share_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema((Column("a", "number"),))
    encode = compile_row(schema, Encoder.fit({"a": np.array([1.0, 3.0])}, schema, encoders={"a": moments()}))
    expected, others = str(encode({"a": 0.0})), [2.0]

    def interrupted(value: float) -> bool:
        """Encode another row, as another thread may at any time."""
        if others:
            encode({"a": others.pop()})
        return math.isnan(value)

    monkeypatch.setattr(row_encoder, "math", SimpleNamespace(nan=math.nan, isnan=interrupted))
    assert str(encode({"a": 0.0})) == expected and not others


def test_one_that_learns_from_the_target_is_cross_fitted_in_every_fold() -> None:
    random = np.random.default_rng(0)
    y, names = random.normal(size=200), np.array([f"n{i % 100}" for i in range(200)], dtype=object)
    source, schema = EncoderCode(name="means", file="means.ipynb", code=MEANS), Schema((Column("a", "category"),))
    encoder = Encoder.fit({"a": names}, schema, y, encoders={"a": source})
    trained, served = (encoder.transform_training({"a": names}, y)[:, 0], encoder.transform({"a": names})[:, 0])
    assert np.corrcoef(served, y)[0, 1] > 0.6 > 0.2 > abs(np.corrcoef(trained, y)[0, 1])
    folds = encode_folds({"a": names}, y, np.arange(200) // 100, schema, encoder)
    assert abs(np.corrcoef(folds[0].valid_X[:, 0], folds[0].valid_y)[0, 1]) < 0.2
    with pytest.raises(ColumnEncoderError, match=r"means.ipynb: encoder 'means': it learns from the target"):
        Encoder.fit({"a": names}, schema, encoders={"a": source})


def test_a_value_that_cannot_be_read_names_its_column() -> None:
    schema = Schema((Column("note", "text"),))
    encoder = Encoder.fit({"note": np.array(["a", "bc"], dtype=object)}, schema, encoders={"note": moments()})
    for encode in (lambda row: encoder.transform(to_arrays([row], schema)), compile_row(schema, encoder)):
        with pytest.raises(UnusableValue, match="column 'note': found an unusable text, expected another one"):
            encode({"note": "unusable"})


def test_wrong_columns_and_constraints_are_refused() -> None:
    schema = Schema((Column("note", "text"), Column("age", "number")))
    arrays = {"note": np.array(["a", "b"], dtype=object), "age": np.array([1.0, 2.0])}
    text_only = moments(**{'("text", "category", "number", "date", "boolean")': '("text",)'})
    for encoders, options, message in (
        ({"not": moments()}, {}, "'not' is no feature; .*did you mean 'note'"),
        ({"age": text_only}, {}, "'age' holds number values, and moments encodes text"),
        ({"age": moments()}, {"monotone": {"age": 1}}, "encoded by moments, whose numbers have no direction"),
    ):
        with pytest.raises(ParameterError, match=message):
            Encoder.fit(arrays, schema, encoders=encoders, **options)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.just(("text",)), st.just({"a": "../b"})
)


@settings(max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["name", "kinds", "supervised", "rowwise", "files", "stored", "libraries"]), JUNK)
)
def test_any_declaration_is_refused_or_can_be_used(changed: dict[str, object]) -> None:
    kind = type("Changed", (type(load_column_encoder(CODE, FILE).encoder),), changed)
    try:
        encoder = declare_encoder(kind)
    except ColumnEncoderError as error:
        assert str(error).startswith("Changed: class Changed ") and "; expected " in str(error)
    else:
        assert encoder.load(encoder.fit(np.array(["a"], dtype=object), np.zeros(1), 0, {}), {}).names


def test_names_that_change_between_parts_are_an_error() -> None:
    code = MEANS.replace('names = ("mean",)', "pass").replace(
        "self.means = means", "self.means = means; self.names = [str(len(means))]"
    )
    source = EncoderCode(name="means", file="means.ipynb", code=code)
    values, y = np.array([f"n{i}" for i in range(20)], dtype=object), np.arange(20.0)
    codec = CustomCodec.fit("a", values, y, source, 0)
    with pytest.raises(ColumnEncoderError, match=r"means.ipynb: encoder 'means': on a part of the rows its names"):
        codec.fill_training(values, np.zeros((20, 1)), y, 0)
