"""Tables as a service reads them: written as Arrow or Parquet, decoded in another process, in slices of rows."""

import io
import math
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from mlnb.serving.runtime.table_bodies import check_columns
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET, TableDecoder

MEMORY = 256 * 2**20


def write_body(table: pa.Table, kind: str) -> bytes:
    """Return a table as a body of a media type."""
    out = io.BytesIO()
    if kind == PARQUET:
        pq.write_table(table, out)
    else:
        with pa.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
    return out.getvalue()


@contextmanager
def decoding():
    """Yield a function from a table, or a body of a kind, to its slices."""
    decoder = TableDecoder(MEMORY)

    def read(content, schema, kind=ARROW, limit=1_000_000):
        body = content if isinstance(content, bytes) else write_body(content, kind)
        with decoder.open(body, kind, schema, limit, math.inf) as table:
            check_columns(table.names, table.unread, schema)
            return list(table.slices())

    try:
        yield read
    finally:
        decoder.close()
