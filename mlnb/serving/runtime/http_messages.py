"""The HTTP side of a request: its options and body as ASGI delivers them, and the reply."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

import msgspec

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.memory_budget import Reservation
from mlnb.serving.runtime.request_bodies import MAX_BYTES, BadRequest, Body, Refusal, too_large
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

Scope = MutableMapping[str, Any]  # ASGI's types: https://asgi.readthedocs.io/en/latest/specs/www.html
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]  # names in lower case
DirectReply = tuple[int, list[tuple[bytes, bytes]], bytes]  # status, headers and body of a response

ROUTE = "/predict"  # of requests for predictions
RECOMMEND_ROUTE = "/recommend"  # of requests for recommendations, where the model is of an interaction log
MODELS_ROUTE = "/models"  # of a service of several models: their list; below it the routes of each
JSON = "application/json"
KINDS = (JSON, ARROW, PARQUET, "", "text/plain", "application/x-www-form-urlencoded")  # the last is curl's default
MORE_HEADERS = {401: (b"www-authenticate", b"Bearer"), 405: (b"allow", b"POST"), 503: (b"retry-after", b"1")}
LENGTH_DIGITS = 20  # of Content-Length that are read
MAX_FIELDS = 100  # of a query


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers and the query of a request state.

    Args:
        kind: media type of the body.
        accept: media types of the response.
        explain: whether each response has an explanation.
        request_id: the client's or a new one.
        key: decides whether the canary responds.
        event_time: seconds since 1970 as the client states them; used by the log of a simulation only.
        numbers: of the rows in the client's request, where other models get the others; empty: all, from 0.
    """

    kind: str = JSON
    accept: str = ""
    explain: bool = False
    request_id: str = ""
    key: str = ""
    event_time: bytes = b""
    numbers: tuple[int, ...] = ()


class Reply(msgspec.Struct, frozen=True):
    """An HTTP response.

    Args:
        status: HTTP status.
        body: bytes of the body.
        version: of the model, for the header X-Model-Version.
        kind: media type of the body.
        log_text: what the service's log shows of a refusal; empty: the body.
    """

    status: int
    body: bytes
    version: str
    kind: str = JSON
    log_text: bytes = b""


class ClientGone(ConnectionError):
    """The client closed the connection before its request was complete; no response can be sent."""


async def read_body(headers: Headers, receive: Receive, reservation: Reservation) -> Body:
    """Return the body.

    Raises:
        BadRequest: as soon as it is known to be too long, or to take more memory than there is.
        ClientGone: it is not complete.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:LENGTH_DIGITS]) > MAX_BYTES:
        raise too_large(f"{int(length[:LENGTH_DIGITS]):,} bytes", f"at most {MAX_BYTES:,} bytes in one request")
    message = await receive()
    if not message.get("more_body"):
        return _part_of(message)
    body = bytearray(_part_of(message))
    reservation.take(len(body))
    while message.get("more_body"):
        message = await receive()
        part = _part_of(message)
        body += part
        reservation.take(len(part))
        if len(body) > MAX_BYTES:
            raise too_large(f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,} bytes in one request")
    return body


def _part_of(message: MutableMapping[str, Any]) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b"")  # type: ignore[no-any-return]


async def discard_body(receive: Receive) -> None:
    """Receive the body of a request that is refused: a client who is still sending would lose the refusal otherwise."""
    left, more = MAX_BYTES, True
    while more and left > 0:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        left, more = left - len(message.get("body", b"")), message.get("more_body", False)


def read_options(query: bytes, headers: Headers, request_id: str) -> RequestOptions:
    """Return what headers and query state.

    Raises:
        BadRequest: with status 415 for a body of a type or encoding that the service does not read, with 400 for an
            option that has no such value.
    """
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() not in (b"identity", b""):
        found = f"a body in encoding {coding[:40].decode('latin-1')!r}"
        problem = RowProblem(row=None, column=None, found=found, expected="a body without Content-Encoding")
        raise BadRequest(f"found {found}, expected a body without Content-Encoding", [problem], 415)
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if content_type not in KINDS:
        raise BadRequest(f"found a body of type {content_type!r}, expected {', '.join(KINDS[:3])}", [], 415)
    return RequestOptions(
        kind=content_type if content_type in (ARROW, PARQUET) else JSON,
        accept=headers.get(b"accept", b"").decode("latin-1"),
        explain=_read_explain(query) if query else False,
        request_id=request_id,
        key=routing_key(headers, request_id),
        event_time=headers.get(b"x-event-time", b""),
    )


def routing_key(headers: Mapping[bytes, bytes], request_id: str) -> str:
    """Return the key that routes a request: that of the header, so that a customer gets one model, else its id."""
    return headers.get(b"x-routing-key", b"").decode("latin-1") or request_id


def _read_explain(query: bytes) -> bool:
    """Return the value of `explain` in a query. Raises `BadRequest` for one that is neither true nor false."""
    try:
        fields = parse_qs(query.lower().decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest(f"found more than {MAX_FIELDS} parameters, expected explain alone", [], 400) from None
    values = fields.get("explain", ["false"])
    texts = set(values)
    if len(texts) == 1 and texts <= {"true", "false"}:
        return "true" in texts
    found = f"explain={values[0][:40]!r}" if len(texts) == 1 else "more than one value of explain"
    problem = RowProblem(row=None, column=None, found=found, expected="explain=true or explain=false")
    raise BadRequest(f"found {found}, expected explain=true or explain=false", [problem], 400)


def refuse(status: int, found: str, expected: str, version: str) -> Reply:
    """Return the reply to a request that is refused before its rows are read."""
    problem = RowProblem(row=None, column=None, found=found, expected=expected)
    refusal = Refusal(error=f"found {found}, expected {expected}", problems=[problem])
    return Reply(status, refusal.encode(), version)


def reply_to(error: BadRequest, version: str) -> Reply:
    """Return the reply to a request that cannot be handled."""
    return Reply(error.status, error.refusal().encode(), version, log_text=error.log_text())


def response_head(reply: Reply, request_id: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response."""
    head = [
        (b"content-type", reply.kind.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-model-version", reply.version.encode()),
        (b"x-request-id", request_id),
    ]
    if reply.status in MORE_HEADERS:
        head.append(MORE_HEADERS[reply.status])
    return head
