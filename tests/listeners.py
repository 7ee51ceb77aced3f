"""Servers on loopback for the code under test."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Quiet(http.server.BaseHTTPRequestHandler):
    """A handler that does not log its requests."""

    def log_message(self, *_: Any) -> None:
        """Do nothing."""


@contextmanager
def listening(handler: type[Quiet], **own: Any) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serve on any free port while inside; `own` are attributes that the handler finds at its server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    vars(server).update(own)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
