"""Arrow and Parquet bodies as slices of rows, from the process that decodes them."""

import json
import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from time import perf_counter

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime import table_worker
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows, Body, too_large
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.serving.runtime.table_bodies import TableSlice, read_slice
from mlnb.serving.runtime.table_worker import FINISH, LENGTH, NEXT, STOP, WRITE

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
KINDS = {ARROW: table_worker.ARROW, PARQUET: table_worker.PARQUET}
MAX_TABLE_ROWS = 1_000_000  # rows of one body
MAX_TABLE_BYTES = 2**30  # bytes of one body once it is unpacked
SHARE = 3 / 8  # of the memory limit, for the process
SLICE_SECONDS = 10.0  # time limit of one slice
START_SECONDS = 30.0  # time limit of the first one, with the start of the process
PIECE = 2**16  # bytes written or read at a time


class DecoderDied(OSError):
    """The process ended, or was killed because it took too long."""


class TableDecoder:
    """Decodes one table at a time in a process that starts with the first table and is replaced when it ends.

    Args:
        limit: memory limit of the service in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.memory = int(SHARE * limit)
        self.process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    @contextmanager
    def open(self, body: Body, kind: str, schema: Schema, limit: int, deadline: float) -> Iterator["DecodedTable"]:
        """Yield the table in a body inside a `with` block.

        Args:
            body: of a request.
            kind: ARROW or PARQUET.
            schema: of the columns that a request may have.
            limit: number of rows.
            deadline: of `perf_counter`.

        Raises:
            BadRequest: with status 415 without pyarrow, 400 when it cannot be read, 413 when it is too large.
        """
        if not find_spec("pyarrow"):
            reason = f"a body of type {kind}, which this service cannot read"
            expected = "JSON, or pyarrow in the service's environment: pip install pyarrow"
            raise BadRequest(f"found {reason}; expected {expected}", [_problem(reason, expected)], 415)
        if not self._lock.acquire(timeout=min(max(0.0, deadline - perf_counter()), threading.TIMEOUT_MAX)):
            raise out_of_time()
        table = None
        try:
            numbers = [column.name for column in schema.features if column.kind == "number"]
            limits = {"rows": limit, "bytes": MAX_TABLE_BYTES}
            request = {"kind": KINDS[kind], "columns": schema.names, "numbers": numbers, **limits}
            table = DecodedTable(self._running(), kind, deadline, self.memory)
            table.send_request(json.dumps(request).encode(), body)
            yield table
        finally:
            if table is not None and table.failed:
                self._kill()
            elif table is not None:
                table.stop()
            self._lock.release()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._kill()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self.process is None or self.process.poll() is not None:
            self._kill()
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-P", str(table_worker.__file__), str(self.memory)]
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        return self.process

    def _kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            for stream in (self.process.stdin, self.process.stdout):
                with suppress(OSError):
                    stream.close()  # type: ignore[union-attr]
            self.process.wait()
        self.process = None


class DecodedTable:
    """The table of one request, decoded as it is read.

    Attributes:
        names: of its columns.
        unread: type of each column whose values are not single values.
        idle: whether the process waits for the next request.
        failed: whether the process did not reply, and cannot be used again.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", kind: str, deadline: float, memory: int) -> None:
        self.process, self.kind, self.deadline, self.memory = process, kind, deadline, memory
        self.names: list[str] = []
        self.unread: dict[str, str] = {}
        self.idle = self.failed = False

    def send_request(self, request: bytes, body: Body) -> None:
        """Send the body and read the names of its columns. Raises `BadRequest` as `TableDecoder.open`."""
        described = json.loads(self._exchange((request, body), START_SECONDS))
        self.names, self.unread = described["columns"], described["unread"]

    def slices(self) -> Iterator[TableSlice]:
        """Yield the rows. Raises `BadRequest` as `TableDecoder.open`, `BadRows` for values that cannot be read."""
        while frame := self._exchange((NEXT,), SLICE_SECONDS):
            yield read_slice(frame)

    def write(self, responses: bytes) -> bytes:
        """Return the next bytes of the response: those of responses that are a JSON list."""
        return self._exchange((WRITE + responses,), SLICE_SECONDS)

    def finish(self) -> bytes:
        """Return the last bytes of the response."""
        return self._exchange((FINISH,), SLICE_SECONDS)

    def stop(self) -> None:
        """Have the process wait for the next request."""
        if not self.idle:
            with suppress(OSError):
                self._write(STOP)
        self.idle = True

    def _exchange(self, frames: tuple[Body, ...], seconds: float) -> bytes:
        """Return the reply to frames: empty at the end of the table."""
        until = min(self.deadline, perf_counter() + seconds)
        self.failed = True
        try:
            for frame in frames:
                self._write(frame)
            reply = self._read(LENGTH.unpack(self._read(LENGTH.size, until))[0], until)
        except OSError as error:
            raise self._explain(error) from None
        self.failed = False
        if not reply.startswith(b'{"status"'):
            return reply
        self.idle = True
        refused: JsonObject = json.loads(reply)
        found, expected = str(refused["found"]), str(refused["expected"])
        if refused["status"] == 422:
            raise BadRows([RowProblem(row=None, column=str(refused["column"]), found=found, expected=expected)])
        raise too_large(found, expected) if refused["status"] == 413 else self._unreadable(f" ({found})")

    def _write(self, frame: Body) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(LENGTH.pack(len(frame)))
        self.process.stdin.write(frame)
        self.process.stdin.flush()

    def _read(self, count: int, until: float) -> bytes:
        assert self.process.stdout is not None
        data, output = bytearray(), self.process.stdout.fileno()
        waiting = select.poll()
        waiting.register(output, select.POLLIN)
        while len(data) < count:
            if not waiting.poll(max(0.0, 1000 * (until - perf_counter()))):
                raise TimeoutError
            part = os.read(output, min(count - len(data), PIECE))
            if not part:
                raise DecoderDied
            data += part
        return bytes(data)

    def _explain(self, error: OSError) -> BadRequest:
        """Return the refusal of a body at which the process failed: out of time, out of memory, or crashed."""
        if isinstance(error, TimeoutError):
            return out_of_time()
        try:
            code = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        if code == table_worker.OUT_OF_MEMORY:
            found = f"a table that takes more than {self.memory / 2**20:,.0f} MB to decode"
            return too_large(found, "smaller tables, or smaller batches")
        log_event("table decoder failed", logging.ERROR, exit_code=code)
        return self._unreadable("")

    def _unreadable(self, detail: str) -> BadRequest:
        reason = f"no {'Arrow stream' if self.kind == ARROW else 'Parquet file'}{detail}"
        expected = f"a body of type {self.kind}"
        return BadRequest(f"the body: found {reason}, expected {expected}", [_problem(reason, expected)])


def out_of_time() -> BadRequest:
    """Return the error for a table that takes too long."""
    return too_large("a table that takes too long to decode", "fewer rows in one request")


def _problem(found: str, expected: str) -> RowProblem:
    return RowProblem(row=None, column=None, found=found, expected=expected)
