"""Encoders: one row and a batch get the same bits, whatever the rows are."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Column, Schema, to_arrays

VALUES = {
    "number": st.none() | st.floats(width=64) | st.integers(-(2**60), 2**60),
    "boolean": st.none() | st.booleans(),
    "category": st.none() | st.text(max_size=3) | st.integers(0, 3) | st.booleans(),
    "text": st.none() | st.text(max_size=30) | st.sampled_from(["ford LTD", "Ford  Pinto", "größe ¼"]),
    "date": st.none() | st.datetimes().map(lambda moment: moment.isoformat()),
}
NUMPY_ALONE = """
import sys
import mlnb.methods.encoding.table_encoder
heavy = {"pandas", "sklearn", "scipy", "lightgbm", "matplotlib", "optuna", "mlnb.engine"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


@st.composite
def tables(draw):
    """A schema, rows to learn from, and rows to encode."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=5))
    schema = Schema(tuple(Column(f"{kind} {j}", kind) for j, kind in enumerate(kinds)))
    row = st.fixed_dictionaries({c.name: VALUES[c.kind] for c in schema.columns})
    return schema, draw(st.lists(row, min_size=1, max_size=8)), draw(st.lists(row, min_size=1, max_size=8))


@settings(max_examples=150)
@given(
    tables(),
    st.fixed_dictionaries(
        {"one_hot": st.integers(0, 3), "buckets": st.integers(1, 9), "unseen": st.sampled_from(["other", "missing"])}
    ),
)
def test_a_row_alone_is_encoded_as_in_the_batch(table, options):
    schema, training, rows = table
    encoder = Encoder.fit(to_arrays(training, schema), schema, **options)
    batch = encoder.transform(to_arrays(rows, schema))
    assert batch.shape == (len(rows), len(encoder.names)) and batch.flags.c_contiguous
    assert not np.isinf(batch).any()
    again = Encoder.from_json(json.loads(json.dumps(encoder.to_json(), sort_keys=True)))
    assert again.to_json() == encoder.to_json() and again.names == encoder.names
    for i, row in enumerate(rows):
        assert again.transform(to_arrays([row], schema)).tobytes() == batch[i : i + 1].tobytes()


@settings(max_examples=50)
@given(tables())
def test_names_are_unique_and_every_column_has_its_source(table):
    schema, training, _ = table
    encoder = Encoder.fit(to_arrays(training, schema), schema)
    assert len(set(encoder.names)) == len(encoder.names) == len(encoder.sources)
    assert set(encoder.sources) == {c.name for c in schema.features}


def test_ten_thousand_categories_and_an_unseen_one():
    schema = Schema((Column("city", "category"),))
    cities = np.array([f"city {math.isqrt(i)}" for i in range(100_000_000, 100_000_000 + 20_010 * 20_000, 20_000)])
    encoder = Encoder.fit({"city": cities.astype(object)}, schema)
    assert len(encoder.codecs[0].categories) >= 10_000
    encoded = encoder.transform({"city": np.array([encoder.codecs[0].categories[0], "atlantis", None], dtype=object)})
    assert encoded[0, 1] == 0 and encoded[1, 0] == 0 and encoded[1, 1] == len(encoder.codecs[0].categories)
    assert np.isnan(encoded[2]).all()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_text_is_encoded_alike_in_every_process(seed):
    code = (
        "import numpy as np; from mlnb.methods.tables.columns import Column, Schema; "
        "from mlnb.methods.encoding.table_encoder import Encoder; "
        "s = Schema((Column('t', 'text'), Column('c', 'category'))); "
        "a = {'t': np.array(['a b c', 'b c d', 'c d e'], dtype=object), 'c': np.array(['x', 'y', 'z'], dtype=object)}; "
        "e = Encoder.fit(a, s); print(e.names, e.transform(a).tolist(), e.to_json())"
    )
    run = [sys.executable, "-c", code]
    first = subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True)
    other = subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True)
    assert first.stdout == other.stdout and "'t has c'" not in first.stdout and "t has b" in first.stdout


def test_it_needs_numpy_alone():
    done = subprocess.run([sys.executable, "-c", NUMPY_ALONE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
