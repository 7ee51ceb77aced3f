"""The HTTP side of a request: its options and body as ASGI delivers them, and the reply."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.request_bodies import MAX_BYTES, BadRequest, Refusal, too_large
from mlnb.serving.runtime.table_bodies import ARROW, PARQUET
from mlnb.serving.runtime.traffic_routing import routing_key

Scope = MutableMapping[str, Any]  # ASGI's types: https://asgi.readthedocs.io/en/latest/specs/www.html
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]  # names in lower case

JSON = "application/json"
KINDS = (JSON, ARROW, PARQUET, "", "text/plain", "application/x-www-form-urlencoded")  # the last is curl's default


class RequestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers and the query of a request state.

    Args:
        kind: media type of the body.
        accept: media types of the response.
        explain: whether each response has an explanation.
        request_id: the client's or a new one.
        key: decides whether the canary responds.
        event_time: seconds since 1970 as the client states them; used by the log of a simulation only.
    """

    kind: str = JSON
    accept: str = ""
    explain: bool = False
    request_id: str = ""
    key: str = ""
    event_time: bytes = b""


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


async def read_body(headers: Headers, receive: Receive) -> bytes:
    """Return the body. Raises `BadRequest` as soon as it is known to be too long."""
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


async def discard_body(receive: Receive) -> None:
    """Receive the body of a request that is refused: a client who is still sending would lose the refusal otherwise."""
    left, more = MAX_BYTES, True
    while more and left > 0:
        message = await receive()
        left, more = left - len(message.get("body", b"")), message.get("more_body", False)


def read_options(scope: Scope, headers: Headers, request_id: str) -> RequestOptions:
    """Return what headers and query state. Raises `BadRequest` for a body of a type that the service does not read."""
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")
    if content_type not in KINDS:
        raise BadRequest(f"found a body of type {content_type!r}, expected {', '.join(KINDS[:3])}", [], 415)
    return RequestOptions(
        kind=content_type if content_type in (ARROW, PARQUET) else JSON,
        accept=headers.get(b"accept", b"").decode("latin-1"),
        explain=b"explain=true" in scope.get("query_string", b"").lower().split(b"&"),
        request_id=request_id,
        key=routing_key(headers, request_id),
        event_time=headers.get(b"x-event-time", b""),
    )


def refuse(status: int, found: str, expected: str, version: str) -> Reply:
    """Return the reply to a request that is refused before its rows are read."""
    problem = RowProblem(row=None, column=None, found=found, expected=expected)
    refusal = Refusal(error=f"found {found}, expected {expected}", problems=[problem])
    return Reply(status, refusal.encode(), version)
