"""Arrow and Parquet bodies that lie about their contents: refused in bounded memory, without quoting others' rows."""

import io
import random
import re
import signal

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attacked_endpoint import BLOCKED, GOOD, Memory, attack, attack_again, rows
from decoded_tables import write_body

from mlnb.serving.runtime import table_decoder
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

LIMIT = 256 * 2**20
SECRET = "a row of another client"


@pytest.fixture(scope="module", autouse=True)
def started(endpoint):
    """The decoder runs, so that its start is not measured."""
    body = write_body(pa.Table.from_pylist([GOOD]), ARROW)
    assert attack(endpoint, [body], ARROW).statuses == [200]


def stream(batch: pa.RecordBatch, options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    return out.getvalue()


def with_texts(array: pa.Array) -> bytes:
    return stream(pa.RecordBatch.from_arrays([pa.array([1.0] * len(array)), array], ["fare paid €", "sex"]))


def replace_offsets(values: list[int]) -> bytes:
    """Return a stream whose texts have these offsets, which pyarrow would not write."""
    marked = np.array([0, 0x3A3A3A3A, 0x3B3B3B3B, 0x3C3C3C3C], np.int32)
    honest = np.array([0, 8, 16, 24], np.int32)
    texts = pa.Array.from_buffers(pa.string(), 3, [None, pa.py_buffer(honest), pa.py_buffer(b"ffffffff" * 8)])
    body = with_texts(texts)
    assert body.count(honest.tobytes()) == 1 and marked.nbytes == honest.nbytes
    return body.replace(honest.tobytes(), np.array(values, np.int32).tobytes())


def test_offsets_outside_of_the_buffer_are_never_followed(endpoint):
    random_ = random.Random(3)
    other = write_body(pa.Table.from_pylist([{**GOOD, "note": SECRET}] * 50), ARROW)
    reasons = set()
    for number in range(120):
        if number % 10 == 0:
            assert attack(endpoint, [other], ARROW).statuses == [200]
        offsets = [0, *(random_.choice([-1, 1]) * random_.randrange(2 ** random_.randrange(3, 31)) for _ in range(3))]
        if offsets == sorted(offsets) and offsets[-1] <= 64:
            continue
        ((status, body),) = attack(endpoint, [replace_offsets(offsets)], ARROW).replies
        assert status == 400, offsets
        assert SECRET.encode() not in body and b"crew" not in body
        reasons.add(re.sub(rb"-?\d+", b"N", body))
    assert 0 < len(reasons) < 20


@pytest.mark.parametrize("index", [-1, 1, 10**6, 2**31 - 1, -(2**31)])
def test_positions_outside_of_a_dictionary_are_refused(endpoint, index):
    codes = pa.array([0, index, 0], pa.int32())
    texts = pa.DictionaryArray.from_arrays(codes, pa.array(["f"]), safe=False)
    assert attack(endpoint, [with_texts(texts)], ARROW).statuses == [400]


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_stream_cannot_take_the_memory(endpoint, codec):
    count = 40_000_000
    zeros = pa.RecordBatch.from_arrays(
        [pa.array(np.zeros(count)), pa.nulls(count, pa.string())], ["fare paid €", "sex"]
    )
    body = stream(zeros, pa.ipc.IpcWriteOptions(compression=codec))
    del zeros
    assert len(body) < 2_000_000
    with Memory() as memory:
        seen = attack_again(endpoint, [body] * 3, ARROW)
    assert set(seen.statuses) == {413} and seen.blocked < BLOCKED
    assert memory.most < LIMIT


def test_rows_of_a_column_without_bytes_are_counted(endpoint):
    count = 2**31 - 1
    nothing = pa.Array.from_buffers(pa.null(), count, [None])
    body = stream(pa.RecordBatch.from_arrays([nothing, nothing], ["fare paid €", "sex"]))
    assert attack(endpoint, [body], ARROW).statuses == [413]


def parquet(columns: dict[str, pa.Array], **options) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, store_schema=False, **options)
    return out.getvalue()


def bombs() -> dict[str, bytes]:
    """Parquet files of few bytes for a lot of memory, each in its own way."""
    count = 100_000
    codes = pa.array(np.zeros(count, np.int32))
    numbers = pa.array(np.zeros(count))
    text = pa.DictionaryArray.from_arrays(codes, pa.array(["f" * 50_000]))
    page = "f" * 200_000_000
    return {
        "a long text in every row": parquet({"fare paid €": numbers, "sex": text}, compression="zstd"),
        "too many rows": parquet({"fare paid €": pa.array(np.zeros(12 * count)), "sex": pa.nulls(12 * count)}),
        "one huge text": parquet({"fare paid €": pa.array([1.0]), "sex": pa.array([page])}, compression="zstd"),
        "texts that repeat their start": parquet(
            {"fare paid €": pa.array([1.0] * 400), "sex": pa.array(["f" * 1_000_000] * 400)},
            compression="zstd",
            use_dictionary=False,
            column_encoding={"sex": "DELTA_BYTE_ARRAY", "fare paid €": "PLAIN"},
        ),
        "many columns": parquet({f"column {number}": pa.array([1.0]) for number in range(2_000)}),
    }


def test_a_parquet_bomb_is_refused_or_answered_in_bounded_memory(endpoint):
    for name, body in bombs().items():
        with Memory() as memory:
            seen = attack_again(endpoint, [body], PARQUET)
        assert seen.statuses[0] in (200, 413, 422), name
        assert len(body) < 2_000_000 and memory.most < LIMIT, (name, memory.most)
        assert seen.blocked < BLOCKED, (name, seen.blocked)


def test_a_million_rows_are_answered_in_slices(endpoint):
    count = 1_000_000
    sex = pa.DictionaryArray.from_arrays(pa.array(np.arange(count, dtype=np.int32) % 2), pa.array(["f", "m"]))
    body = parquet({"fare paid €": pa.array(np.arange(count) % 300.0), "sex": sex})
    with Memory() as memory:
        seen = attack_again(endpoint, [body], PARQUET)
    assert seen.statuses[0] in (200, 504)  # the second on a machine that is busy
    assert seen.blocked < BLOCKED and memory.most < LIMIT
    if seen.statuses[0] == 200:
        assert pq.ParquetFile(io.BytesIO(seen.replies[0][1])).metadata.num_rows == count


def test_more_rows_than_the_log_takes_are_refused_at_once(endpoint, monkeypatch):
    monkeypatch.setattr(endpoint, "table_rows", 100_000)
    body = parquet({"fare paid €": pa.array(np.zeros(200_000)), "sex": pa.array(["f"] * 200_000)})
    ((status, reply),) = attack(endpoint, [body], PARQUET).replies
    assert status == 413 and b"100,000 rows" in reply


def test_a_process_that_hangs_is_killed(endpoint, monkeypatch):
    monkeypatch.setattr(table_decoder, "START_SECONDS", 0.2)  # the limit of a table's first slice
    process = endpoint.resources.decoder.process
    process.send_signal(signal.SIGSTOP)
    body = write_body(pa.Table.from_pylist([GOOD]), ARROW)
    assert attack(endpoint, [body], ARROW).statuses == [413]
    assert process.poll() is not None
    monkeypatch.undo()
    assert attack(endpoint, [body], ARROW).statuses == [200]


def test_a_process_that_dies_is_replaced(endpoint):
    body = write_body(pa.Table.from_pylist([GOOD]), ARROW)
    for _ in range(2):
        psutil.Process(endpoint.resources.decoder.process.pid).kill()
        statuses = {attack(endpoint, [body], ARROW).statuses[0] for _ in range(3)}
        assert statuses <= {200, 400} and 200 in statuses


def test_json_is_answered_while_tables_are_attacked(endpoint):
    bomb = bombs()["a long text in every row"]
    assert attack_again(endpoint, [bomb], PARQUET).blocked < BLOCKED
    assert attack(endpoint, [rows(3)]).statuses == [200]
