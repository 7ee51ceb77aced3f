"""The process that decodes tables: what it refuses, and without pyarrow."""

import json
import math
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from decoded_tables import MEMORY, decoding, write_body

from mlnb.methods.tables.columns import Column, Schema
from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET, TableDecoder

SCHEMA = Schema((Column("age", "number"), Column("sex", "category")))


@pytest.fixture(scope="module")
def read():
    with decoding() as function:
        yield function


@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_a_body_that_is_no_table_is_refused(read, kind):
    for body in (b"", b"PAR1", b"[]", json.dumps([{"age": 1}]).encode()):
        with pytest.raises(BadRequest) as caught:
            read(body, SCHEMA, kind)
        assert caught.value.status == 400
    with pytest.raises(BadRequest, match="more than 2 rows") as caught:
        read(pa.table({"age": [1.0] * 3}), SCHEMA, kind, limit=2)
    assert caught.value.status == 413


def test_a_service_without_pyarrow_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    opening = TableDecoder(MEMORY).open(b"", ARROW, SCHEMA, 1, math.inf)
    with pytest.raises(BadRequest, match="pip install pyarrow") as caught, opening:
        pass
    assert caught.value.status == 415


def test_responses_are_written_in_the_format_of_the_request():
    decoder = TableDecoder(MEMORY)
    values = [{"prediction": "no", "probabilities": {"no": 0.75, "yes": 0.25}}] * 3
    try:
        for kind in (ARROW, PARQUET):
            body = write_body(pa.table({"age": [1.0]}), kind)
            with decoder.open(body, kind, SCHEMA, 10, math.inf) as table:
                parts = [table.write(json.dumps(values).encode()) for _ in range(2)]
                written = b"".join([*parts, table.finish()])
            if kind == ARROW:
                assert pa.ipc.open_stream(written).read_all().to_pylist() == values * 2
            else:
                assert pa.parquet.read_table(pa.BufferReader(written)).to_pylist() == values * 2
    finally:
        decoder.close()


def test_a_process_serves_many_tables(read):
    for number in range(5):
        (part,) = read(pa.table({"age": np.full(10, float(number)), "sex": ["f"] * 10}), SCHEMA)
        assert part.numbers["age"].tolist() == [number] * 10
