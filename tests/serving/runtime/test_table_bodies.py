"""Bodies that are Arrow streams or Parquet files: read, written, and refused when they are neither."""

import io
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.serving.runtime.table_bodies import ARROW, PARQUET, read_table, to_rows, write_table

ROW = [{"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}]


def test_responses_are_written_as_they_are():
    values = [{"prediction": "no", "probabilities": {"no": 0.75, "yes": 0.25}}] * 3
    arrow = pa.ipc.open_stream(write_table(values, ARROW)).read_all()
    assert arrow.to_pylist() == values == pq.read_table(io.BytesIO(write_table(values, PARQUET))).to_pylist()


def test_rows_of_a_table_hold_instants_as_text():
    table = pa.table({"day": pa.array([1588291200000, None], pa.timestamp("ms", "UTC")), "age": [1, 2]})
    assert to_rows(table) == [{"day": "2020-05-01T00:00:00+00:00", "age": 1}, {"day": None, "age": 2}]
    assert to_rows(table.slice(0, 0)) == []


@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_a_body_that_is_no_table_is_refused(kind, monkeypatch):
    for body in (b"", b"PAR1", b"[]", json.dumps(ROW).encode()):
        with pytest.raises(BadRequest) as caught:
            read_table(body, kind)
        assert caught.value.status == 400
    with pytest.raises(BadRequest) as caught:
        read_table(write_table(ROW * 3, kind), kind, limit=2)
    assert caught.value.status == 413
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadRequest, match="pip install pyarrow") as caught:
        read_table(b"", kind)
    assert caught.value.status == 415
