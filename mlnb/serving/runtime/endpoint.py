"""POST /predict as an ASGI application: one function call from a request's bytes to its answer's.

One row, or a few, are answered where they arrive; what takes longer goes to a thread, so that nobody waits behind it.
"""

import asyncio
import itertools
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from mlnb.methods.contracts.responses import Explanation, Response, RowProblem
from mlnb.serving.runtime.access import Guard
from mlnb.serving.runtime.model_reloader import Followed, Live
from mlnb.serving.runtime.prediction_log import Recorder, read_masked
from mlnb.serving.runtime.prometheus_metrics import meters
from mlnb.serving.runtime.request_bodies import MAX_BYTES, BadRequest, Refusal, read_rows, too_large
from mlnb.serving.runtime.response_bodies import encode_responses, to_values
from mlnb.serving.runtime.service_parts import Row
from mlnb.serving.runtime.structured_logs import log
from mlnb.serving.runtime.table_bodies import ARROW, PARQUET, read_table, to_rows, write_table
from mlnb.serving.runtime.traffic_routing import Rivals, key_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
KINDS = (JSON, ARROW, PARQUET, "", "text/plain", "application/x-www-form-urlencoded")  # the last is curl's own
THREADS = 4  # batches answered at a time
WAITING = 64  # batches that may wait for a thread
INLINE = 16_384  # bytes of a JSON body that is answered where it arrives
SECONDS = 60.0  # until a batch is given up
LONGEST_ID = 128  # characters of a request id that is passed through


@dataclass(frozen=True)
class Asked:
    """What a request says of itself.

    Attributes:
        kind: media type of the body.
        accept: media types of the answer.
        explain: whether each answer says why.
        request_id: the client's or a new one.
        key: what decides whether a canary answers.
        event_time: seconds since 1970 as the client has it; counts for the log of a simulated world alone.
    """

    kind: str = JSON
    accept: str = ""
    explain: bool = False
    request_id: str = ""
    key: str = ""
    event_time: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What goes back.

    Attributes:
        told: what the service's own log says of it; empty: the body.
    """

    status: int
    body: bytes
    version: str
    kind: str = JSON
    told: bytes = b""


class Endpoint:
    """Answers rows with the model that is live, counts what it answers, and says what it refuses."""

    def __init__(self, folder: Path) -> None:
        self.guard, self.meters = Guard.read(), meters()
        self.followed = Followed.read(folder, self.meters.switched, self.meters.refused_model)
        self.masked = read_masked(os.environ)  # in the service's own log, too
        self.recorder = Recorder.read(os.environ, self.meters.logged_rows)
        self.rivals = Rivals.read(folder, self.meters, self._note_shadow if self.recorder else None, os.environ)
        self.pool = ThreadPoolExecutor(THREADS, "batch")
        self.pending = 0
        self.prefix, self.number = secrets.token_hex(6), itertools.count()
        self.followed.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for predictions."""
        began = perf_counter()
        headers = dict(scope["headers"])
        request_id = self._request_id(headers)
        reply = await self._answer(scope, headers, receive, request_id.decode())
        out = [
            (b"content-type", reply.kind.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-model-version", reply.version.encode()),
            (b"x-request-id", request_id),
        ]
        if reply.status == 401:
            out.append((b"www-authenticate", b"Bearer"))
        elif reply.status == 405:
            out.append((b"allow", b"POST"))
        elif reply.status == 503:
            out.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": reply.status, "headers": out})
        await send({"type": "http.response.body", "body": reply.body})
        took = perf_counter() - began
        self.meters.took(took)
        self.meters.count("requests", str(reply.status), reply.version)
        if reply.status >= 400:
            said = (reply.told or reply.body)[:2000].decode("utf-8", "replace")
            facts = {"status": reply.status, "request_id": request_id.decode(), "milliseconds": round(1000 * took, 3)}
            log("request refused", logging.WARNING, None, **facts, model_version=reply.version, answer=said)

    def respond(self, body: bytes, asked: Asked = Asked()) -> Reply:
        """Return the reply to a body; whatever it holds, it is answered or told what to change."""
        live, canary = self.followed.live, self.rivals.canary
        rival = canary.live(asked.key, live) if canary is not None else None
        if rival is not None:
            reply = self._respond(rival, body, asked)
            if reply.status < 500:
                return reply  # else the model in charge answers: a client never meets a canary's failure
        return self._respond(live, body, asked)

    def _respond(self, live: Live, body: bytes, asked: Asked) -> Reply:
        began = perf_counter()
        reply = self._reply(live, body, asked)
        if self.rivals.canary is not None:
            canary = live.version != self.followed.live.version
            self.rivals.canary.note(live.version, perf_counter() - began, reply.status >= 500, canary)
        return reply

    def _note_shadow(
        self, request: str, version: str, rows: list[Row], responses: Sequence[Response], seconds: float
    ) -> None:
        if self.recorder is not None:
            self.recorder.put(request, version, rows, to_values(responses), seconds, shadow=True)

    def _reply(self, live: Live, body: bytes, asked: Asked) -> Reply:
        began, shadow = perf_counter(), self.rivals.shadow
        try:
            rows, responses, explanations = _respond(live, body, asked, self.recorder is not None or shadow is not None)
            self.meters.answered(responses, live.version)
            kind = JSON if JSON in asked.accept or asked.kind == JSON else asked.kind
            if kind == JSON:
                out = encode_responses(responses, explanations)
            else:
                out = write_table(to_values(responses, explanations), kind)
            if self.recorder is not None:
                sent = body if asked.kind == JSON else rows
                returned = out if kind == JSON else to_values(responses, explanations)
                took, count, moment = perf_counter() - began, len(responses), asked.event_time
                self.recorder.put(asked.request_id, live.version, sent, returned, took, moment, count=count)
            if shadow is not None:
                shadow.put(asked.request_id, rows, responses, live.version)
            return Reply(200, out, live.version, kind)
        except BadRequest as error:
            self.meters.refused(error.problems, frozenset(live.predictor.parts.schema.names), live.version)
            if self.recorder is not None:
                self.recorder.refuse(asked.request_id, live.version, error.problems, asked.event_time)
            told = error.refusal(self.masked).encode() if self.masked else b""
            return Reply(error.status, error.refusal().encode(), live.version, told=told)
        except Exception as error:  # noqa: BLE001 -- a fault of the service's own: the client need not know which
            log("request failed", logging.ERROR, error, model_version=live.version)
            return _refusal(500, "a fault of the service; its log has the cause", "an answer", live.version)

    def ready(self) -> bool:
        """Whether the golden rows get the very predictions that the notebook made."""
        return self.followed.live.predictor.replay() is None

    def close(self) -> None:
        """End the threads once they have answered."""
        self.followed.stop()
        self.pool.shutdown()
        self.rivals.close()
        if self.recorder is not None:
            self.recorder.close()

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, request_id: str) -> Reply:
        version = self.followed.live.version
        if not self.guard.admits(headers):
            await _pass_over(receive)
            expected = "`Authorization: Bearer ...` or `X-API-Key: ...` with a key of this service"
            return _refusal(401, "no key or another", expected, version)
        if scope["method"] != "POST":
            return _refusal(405, f"method {scope['method']}", "POST", version)
        try:
            asked = _read_request(scope, headers, request_id)
            body = await _read_body(headers, receive)
        except BadRequest as error:
            return Reply(error.status, error.refusal().encode(), version)
        if asked.kind == JSON and len(body) <= INLINE and not asked.explain:
            return self.respond(body, asked)
        return await self._answer_in_thread(body, asked, version)

    async def _answer_in_thread(self, body: bytes, asked: Asked, version: str) -> Reply:
        if self.pending >= WAITING + THREADS:
            return _refusal(503, f"{self.pending} batches before this one", "fewer at a time; ask again", version)
        self.pending += 1
        self.meters.busy.inc()
        try:
            work = asyncio.get_running_loop().run_in_executor(self.pool, self.respond, body, asked)
            return await asyncio.wait_for(work, SECONDS)
        except TimeoutError:
            return _refusal(504, f"no answer after {SECONDS:.0f} s", "fewer rows in one request", version)
        finally:
            self.pending -= 1
            self.meters.busy.dec()

    def _request_id(self, headers: dict[bytes, bytes]) -> bytes:
        """Return the id that a request brings, if it can be a header's value, or a new one."""
        given = headers.get(b"x-request-id", b"")
        if given and len(given) <= LONGEST_ID and given.isascii() and given.decode().isprintable():
            return given
        return f"{self.prefix}-{next(self.number):x}".encode()


def _respond(
    live: Live, body: bytes, asked: Asked, logged: bool
) -> tuple[list[Row], Sequence[Response], Sequence[Explanation]]:
    """Return the rows of a body, their responses and explanations; rows of a table only where they are needed again."""
    predictor = live.predictor
    if asked.kind == JSON:
        rows = read_rows(body)
        responses = predictor.respond(rows)
    else:
        table = read_table(body, asked.kind)
        rows, responses = to_rows(table) if logged or asked.explain else [], predictor.respond_to_table(table)
    return rows, responses, predictor.explain(rows) if asked.explain else ()


async def _read_body(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """Return the body; raises `BadRequest` as soon as it is known to be too long."""
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length) > MAX_BYTES:
        raise too_large(f"{int(length):,} bytes", f"at most {MAX_BYTES:,} bytes in one request")
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            raise too_large(f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,} bytes in one request")
    return body


async def _pass_over(receive: Receive) -> None:
    """Take the body of a request that is refused: a client who is still sending would lose the refusal otherwise."""
    left, more = MAX_BYTES, True
    while more and left > 0:
        message = await receive()
        left, more = left - len(message.get("body", b"")), message.get("more_body", False)


def _read_request(scope: Scope, headers: dict[bytes, bytes], request_id: str) -> Asked:
    given = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if given not in KINDS:
        raise BadRequest(f"found a body of type {given!r}, expected {', '.join(KINDS[:3])}", [], 415)
    kind = given if given in (ARROW, PARQUET) else JSON
    explain = b"explain=true" in scope.get("query_string", b"").lower().split(b"&")
    accept, event_time = headers.get(b"accept", b"").decode("latin-1"), headers.get(b"x-event-time", b"")
    return Asked(kind, accept, explain, request_id, key_of(headers, request_id), event_time)


def _refusal(status: int, found: str, expected: str, version: str) -> Reply:
    problem = RowProblem(row=None, column=None, found=found, expected=expected)
    refusal = Refusal(error=f"found {found}, expected {expected}", problems=[problem])
    return Reply(status, refusal.encode(), version)
