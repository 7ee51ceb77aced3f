"""Predictions for small requests in the callback that reads their last bytes, without a task and without ASGI.

With ASGI, a third of the time of a small request goes into tasks, messages and middleware. A request is handled
directly when the connection has nothing else to do and the request is complete and plain; all others go through ASGI.
The responses are the same.
"""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from mlnb.serving.runtime.http_connections import IDLE_SECONDS, MAX_HEADER_BYTES, LimitedConnection
from mlnb.serving.runtime.http_messages import MODELS_ROUTE, ROUTE, DirectReply, Headers
from mlnb.serving.runtime.json_rows import SMALL

URL, MODEL_URLS = ROUTE.encode(), f"{MODELS_ROUTE}/".encode()
AT_ONCE = 16  # requests handled in one callback, which others wait for

# Called with URL, headers and body; None: the request needs ASGI.
DirectHandler = Callable[[bytes, Headers, bytes], DirectReply | None]


class DirectConnection(LimitedConnection):
    """A connection that handles small requests directly.

    Args:
        direct: handles a request; None: all requests go through ASGI.
    """

    def __init__(self, *args: Any, direct: DirectHandler | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.direct = direct
        self.fields: Headers | None = None  # headers of the request that is to be handled directly
        self.parts: list[bytes] = []  # of its body
        self.left = AT_ONCE

    def data_received(self, data: bytes) -> None:
        """Read bytes of one request or more."""
        self.left = AT_ONCE
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Start to respond, or wait for the body of a request that is handled directly."""
        if self.direct is not None and self._may_be_direct():
            self.fields, self.parts = dict(self.headers), []
            self.expect_body()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        if self.fields is None:
            super().on_body(body)
        else:
            self.parts.append(body)

    def on_message_complete(self) -> None:
        """Respond to a request that is handled directly."""
        if self.fields is None:
            super().on_message_complete()
            return
        fields, self.fields = self.fields, None
        body = b"".join(self.parts)
        reply = None if self.draining or self.direct is None else self.direct(self.url, fields, body)
        if reply is None:
            super().on_headers_complete()
            super().on_body(body)
            super().on_message_complete()
            return
        self.expect_headers()
        self.left -= 1
        self.server_state.total_requests += 1
        status, head, content = reply
        lines = [b"%b: %b\r\n" % field for field in (*self.server_state.default_headers, *head)]
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", content)))

    def check(self, now: float) -> None:
        """Close the connection when the client does not send or read in time; called every second."""
        without_timer = self.requests and self.timeout_keep_alive_task is None  # uvicorn's, after a request over ASGI
        if without_timer and self.is_idle() and now - self.waiting_since > IDLE_SECONDS:
            self.transport.close()
        else:
            super().check(now)

    def _may_be_direct(self) -> bool:
        """Return whether a request is plain, has a small body, and is the only one of its connection."""
        if self.url != URL and not self.url.startswith(MODEL_URLS):
            return False
        if not self.left or self.draining or self.expect_100_continue:
            return False
        if self.pipeline or not (self.cycle is None or self.cycle.response_complete):
            return False
        if self.transport.is_closing() or self.flow.write_paused or self.header_bytes > MAX_HEADER_BYTES:
            return False
        parser = self.parser
        if parser.get_method() != b"POST" or not parser.should_keep_alive() or parser.should_upgrade():
            return False
        if parser.get_http_version() != "1.1":
            return False
        lengths = [value for name, value in self.headers if name in (b"content-length", b"transfer-encoding")]
        return len(lengths) == 1 and lengths[0].isdigit() and len(lengths[0]) < 6 and int(lengths[0]) <= SMALL
