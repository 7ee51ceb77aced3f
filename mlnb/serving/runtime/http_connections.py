"""The HTTP connections of a worker: limits of time, size and number, and an end that loses no request.

They rely on the attributes of `HttpToolsProtocol` that are used below.
"""

from time import monotonic
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mlnb.serving.runtime.http_messages import Receive, Scope, Send, refuse

MAX_HEADER_BYTES = 65_536  # of one request, with its first line
HEADER_SECONDS = 10.0  # until the headers of a request must be complete
BODY_SECONDS = 30.0  # until the next bytes of a body must arrive
BODY_RATE = 10_000  # bytes a second that a body must have on average after that
SEND_SECONDS = 60.0  # until a client must have read more of a response
IDLE_SECONDS = 75  # that a connection is kept without a request: longer than proxies keep theirs
LEAST_IDLE_SECONDS = 5.0  # that a connection is kept when all are taken
FIRST_SECONDS = 1.0  # that a connection has for the headers of its first request when all are taken
DRAIN_SECONDS = 2.0  # that idle connections are kept at the end, for requests that are on their way
CONNECTIONS = 1_000  # of a worker; further ones get status 503
REFUSED = 200  # connections that may get status 503 at a time

HEADERS_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class LimitedConnection(HttpToolsProtocol):
    """A connection with limits.

    Attributes:
        limit: connections that are served at a time.
    """

    limit = CONNECTIONS
    cycle: Any  # None before the first request

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.header_bytes = 0  # received of a request whose headers are not complete
        self.body_bytes = 0
        self.waiting_since = self.last_read = self.last_sent = monotonic()
        self.unsent = 0
        self.requests = 0  # that were complete
        self.in_headers = True  # or between two requests
        self.draining = False

    def connection_made(self, transport: Any) -> None:
        """Accept a connection: to be served, to get status 503, or not at all."""
        super().connection_made(transport)
        if len(self.connections) > self.limit and not self._make_room():
            self.app = refuse_connection
            self.draining = True  # after one response
            if len(self.connections) > self.limit + REFUSED:
                transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read bytes of a request."""
        if self.in_headers:
            if not self.header_bytes:
                self.waiting_since = monotonic()
            self.header_bytes += len(data)
            super().data_received(data)
            if self.header_bytes > MAX_HEADER_BYTES:  # 0 as soon as the headers are complete
                self._refuse(HEADERS_TOO_LARGE)
            return
        self.last_read = monotonic()
        self.body_bytes += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Start to respond."""
        app = self.app
        if self.header_bytes > MAX_HEADER_BYTES and self._head_size() > MAX_HEADER_BYTES:
            self.app, self.draining = refuse_headers, True
        self.expect_body()
        super().on_headers_complete()
        self.app = app
        if self.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that the next bytes belong to another request."""
        self.expect_headers()
        super().on_message_complete()

    def expect_body(self) -> None:
        """Note that the headers of a request are complete."""
        self.in_headers, self.header_bytes, self.body_bytes = False, 0, 0
        self.last_read = self.waiting_since

    def expect_headers(self) -> None:
        """Note that a request is complete."""
        self.in_headers, self.header_bytes = True, 0
        self.requests += 1

    def shutdown(self) -> None:
        """Respond to the request in progress, or to one that arrives soon, then close."""
        self.draining = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
        else:
            self.loop.call_later(DRAIN_SECONDS, self._close_when_idle)

    def check(self, now: float) -> None:
        """Close the connection when the client does not send or read in time; called every second."""
        if self.transport.get_write_buffer_size():
            self._check_sending(now)
        elif not self.in_headers:
            allowed = BODY_SECONDS + self.body_bytes / BODY_RATE
            if now - self.last_read > BODY_SECONDS or now - self.waiting_since > allowed:
                self._refuse(TIMED_OUT)
        elif (self.header_bytes or not self.requests) and now - self.waiting_since > HEADER_SECONDS:
            self._refuse(TIMED_OUT if self.header_bytes else b"")

    def is_idle(self) -> bool:
        """Return whether there is no request, complete or not."""
        return self.in_headers and not self.header_bytes and (self.cycle is None or self.cycle.response_complete)

    def may_be_closed(self, now: float) -> bool:
        """Return whether the connection may be closed for a new one: it never sent a request, or none for long."""
        if self.draining:  # it is above the limit itself
            return False
        if not self.requests and self.in_headers:
            return now - self.waiting_since > FIRST_SECONDS
        return self.is_idle() and now - self.waiting_since > LEAST_IDLE_SECONDS

    def _head_size(self) -> int:
        """Return the bytes of the headers that are complete; others may have come with them."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _make_room(self) -> bool:
        """Close the oldest connection without a request, one that never sent any first; return whether one was."""
        now, mine = monotonic(), (each for each in self.connections if isinstance(each, LimitedConnection))
        idle = [each for each in mine if each.may_be_closed(now)]
        if not idle:
            return False
        oldest = min(idle, key=lambda each: (each.requests > 0, each.waiting_since))
        self.connections.discard(oldest)
        oldest._refuse(TIMED_OUT if oldest.header_bytes else b"")
        return True

    def _check_sending(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:
            self.unsent, self.last_sent = unsent, now
        elif now - self.last_sent > SEND_SECONDS:
            self.transport.abort()

    def _close_when_idle(self) -> None:
        if self.is_idle():
            self.transport.close()

    def _refuse(self, response: bytes) -> None:
        if not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(response)
            self.transport.close()


async def refuse_connection(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a connection above the limit."""
    await _refuse(send, 503, "too many connections", "fewer at a time; try again later")


async def refuse_headers(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request whose headers are too large."""
    await _refuse(send, 431, "headers that are too large", f"at most {MAX_HEADER_BYTES:,} bytes")


async def _refuse(send: Send, status: int, found: str, expected: str) -> None:
    reply = refuse(status, found, expected, "")
    headers = [
        (b"content-type", reply.kind.encode()),
        (b"content-length", str(len(reply.body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
