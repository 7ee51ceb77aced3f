"""Large requests: read, predicted and written a slice at a time, in bounded memory and until a deadline.

A request of a task whose rows are scored together, such as a ranking, is one slice.
"""

import json
from collections.abc import Iterator, Sequence
from time import perf_counter

import msgspec

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import Explanation, Response, RowProblem
from mlnb.serving.runtime.http_messages import JSON, RequestOptions
from mlnb.serving.runtime.json_rows import read_slices
from mlnb.serving.runtime.memory_budget import Reservation
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.prometheus_metrics import count_classes
from mlnb.serving.runtime.request_bodies import MAX_ROWS, SHOWN, BadRequest, BadRows, Body
from mlnb.serving.runtime.response_bodies import JsonWriter, ResponseWriter, TableWriter
from mlnb.serving.runtime.row_checks import shift_rows
from mlnb.serving.runtime.table_bodies import TableSlice, check_columns, to_rows
from mlnb.serving.runtime.table_decoder import MAX_TABLE_ROWS, TableDecoder

ROW_BYTES, VALUE_BYTES = 250, 100  # that a row and each of its values take as Python objects
WRITTEN = 4_096  # responses encoded at a time
LOGGED = 512  # rows encoded for the log at a time

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def encode_rows(rows: Sequence[Row]) -> bytes:
    """Return rows as JSON text for the log."""
    return _encode(rows).encode()


class Slice(msgspec.Struct):
    """Some rows of a request: as JSON objects, as columns, or both."""

    rows: list[Row]
    table: TableSlice | None = None


class Outcome(msgspec.Struct):
    """The responses to a request.

    Args:
        body: of the response.
        kind: its media type.
        counts: predicted rows by class, as `count_classes` counts them.
        count: number of responses.
        rows: of the request, where a shadow needs them, else none.
        responses: to those rows.
        logged_rows: JSON text for the log; empty: the body of the request.
        logged_responses: JSON text for the log; empty: the body of the response.
    """

    body: bytes
    kind: str
    counts: dict[str, int]
    count: int
    rows: list[Row]
    responses: Sequence[Response]
    logged_rows: bytes = b""
    logged_responses: bytes = b""


class SlicedRequest:
    """Responds to one request.

    Args:
        predictor: the model.
        options: of the request.
        reservation: the request's share of the memory.
        deadline: of `perf_counter`.
        logged: whether the log needs rows and responses.
        shadowed: whether a shadow needs rows and responses.
        table_rows: most rows of a table.
    """

    def __init__(
        self,
        predictor: Predictor,
        options: RequestOptions,
        reservation: Reservation,
        deadline: float,
        logged: bool,
        shadowed: bool,
        table_rows: int = MAX_TABLE_ROWS,
    ) -> None:
        self.predictor, self.options = predictor, options
        self.reservation, self.deadline = reservation, deadline
        self.logged, self.shadowed, self.table_rows = logged, shadowed, table_rows
        self.is_table = options.kind != JSON
        self.kind = options.kind if self.is_table and JSON not in options.accept else JSON
        self.rewritten = self.is_table or bool(predictor.protection)  # whether the body cannot be logged as it is

    def respond(self, body: Body, decoder: TableDecoder) -> Outcome:
        """Return the responses. Raises `BadRequest` for a body that cannot be read or takes too much memory or time."""
        if not self.is_table:
            protect = self.predictor.protection.rows
            return self._respond((Slice(protect(rows)) for rows in read_slices(body)), JsonWriter())
        schema = self.predictor.handler.request_columns
        with decoder.open(body, self.options.kind, schema, self.table_rows, self.deadline) as table:
            check_columns(table.names, table.unread, schema)
            writer = JsonWriter() if self.kind == JSON else TableWriter(table)
            return self._respond(self._read_tables(table.slices()), writer)

    def _read_tables(self, tables: Iterator[TableSlice]) -> Iterator[Slice]:
        needs_rows = self.logged or self.shadowed or self.options.explain or not self.predictor.handler.independent
        for unprotected in tables:
            table = self.predictor.protection.table(unprotected)
            yield Slice(to_rows(table) if needs_rows else [], table)

    def _respond(self, slices: Iterator[Slice], writer: ResponseWriter) -> Outcome:
        logged_rows, logged_responses = JsonWriter(), JsonWriter()
        outcome = Outcome(b"", self.kind, {}, 0, [], [])
        problems: list[RowProblem] = []
        first = 0
        for part in slices if self.predictor.handler.independent else [self._join(slices)]:
            if perf_counter() > self.deadline:
                raise out_of_time()
            size = len(part.rows) if part.table is None else part.table.rows
            try:
                responses, explanations = self._predict(part)
            except BadRows as error:
                problems += shift_rows(error.problems, first)
                if len(problems) >= SHOWN:
                    break
            else:
                if not problems:
                    self._write(outcome, part, responses, explanations, writer)
                    if self.logged and self.rewritten:
                        self._log(part, responses, logged_rows, logged_responses)
            first += size
        if problems:
            raise BadRows(problems[:SHOWN])
        outcome.body = writer.finish()
        if self.logged and self.rewritten:
            outcome.logged_rows = logged_rows.finish()
            outcome.logged_responses = b"" if self.kind == JSON else logged_responses.finish()
        return outcome

    def _join(self, slices: Iterator[Slice]) -> Slice:
        rows: list[Row] = []
        for part in slices:
            self.reservation.take(sum(ROW_BYTES + VALUE_BYTES * len(row) for row in part.rows))
            rows += (_without_containers(row) for row in part.rows)
        return Slice(rows)

    def _predict(self, part: Slice) -> tuple[Sequence[Response], Sequence[Explanation]]:
        handler = self.predictor.handler  # the slices are without personal data
        responses = handler.respond(part.rows) if part.table is None else handler.respond_to_table(part.table)
        return responses, handler.explain(part.rows) if self.options.explain else ()

    def _write(
        self,
        outcome: Outcome,
        part: Slice,
        responses: Sequence[Response],
        explanations: Sequence[Explanation],
        writer: ResponseWriter,
    ) -> None:
        for start in range(0, len(responses), WRITTEN):
            piece = slice(start, start + WRITTEN)
            self.reservation.take(writer.add(responses[piece], explanations[piece]))
        outcome.count += len(responses)
        count_classes(responses, outcome.counts)
        if self.shadowed and outcome.count <= MAX_ROWS:
            outcome.rows = [*outcome.rows, *part.rows]
            outcome.responses = [*outcome.responses, *responses]

    def _log(self, part: Slice, responses: Sequence[Response], rows: JsonWriter, values: JsonWriter) -> None:
        for start in range(0, len(part.rows), LOGGED):
            self.reservation.take(rows.add_text(encode_rows(part.rows[start : start + LOGGED])))
        for start in range(0, len(responses) if self.kind != JSON else 0, LOGGED):
            self.reservation.take(values.add(responses[start : start + LOGGED]))


def out_of_time() -> BadRequest:
    """Return the error for a request that takes too long."""
    found, expected = "a request that takes too long", "fewer rows in one request"
    problem = RowProblem(row=None, column=None, found=found, expected=expected)
    return BadRequest(f"found {found}, expected {expected}", [problem], 504)


def _without_containers(row: JsonObject) -> Row:
    """Return a row whose lists and objects, which fit no column, are empty: they could take any amount of memory."""
    return {
        name: type(value)() if isinstance(value, list | dict) else value  # an error names the type alone
        for name, value in row.items()
    }
