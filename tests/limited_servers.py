"""A small application behind the connections of a worker, and clients of it."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import uvicorn
from waiting import wait_for

from mlnb.serving.runtime.http_connections import LimitedConnection
from mlnb.serving.runtime.http_server import LimitedServer


async def respond(scope, receive, send):
    """Read the body, take as long as the path states, and respond with the number of bytes."""
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message.get("more_body", False)
    await asyncio.sleep(float(scope["path"][1:] or 0))
    body = b"%d" % size if scope["query_string"] == b"" else b"x" * int(scope["query_string"])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(limit: int | None = None, application=respond, **options):
    """Yield the port and the server of an application that runs in a thread."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = LimitedServer(uvicorn.Config(application, log_config=None, lifespan="off", **options))
    if limit is not None:
        LimitedConnection.limit = limit
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        wait_for(lambda: server.started, 20, "the server")
        yield listening.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def read_all(connection: socket.socket) -> bytes:
    """Return what a server sends until it closes the connection."""
    parts = []
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)
