"""Connections of a worker: limits of time, size and number, and an end that loses no request."""

import asyncio
import http.client
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn
from waiting import wait_for

from mlnb.serving.runtime import http_connections as module
from mlnb.serving.runtime.http_connections import LimitedConnection, LimitedServer, allow_connections

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


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
def serving(limit: int | None = None, **options):
    """Yield the port and the server of an application that runs in a thread."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = LimitedServer(uvicorn.Config(respond, log_config=None, lifespan="off", **options))
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


def read_reply(connection: socket.socket) -> bytes:
    """Return the reply to one request; its body of one byte may arrive after the header."""
    reply = b""
    while not re.search(rb"\r\n\r\n.", reply, re.DOTALL):
        part = connection.recv(1000)
        assert part, reply
        reply += part
    return reply


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short limits."""
    for name in ("HEADER_SECONDS", "BODY_SECONDS", "SEND_SECONDS", "DRAIN_SECONDS", "LEAST_IDLE_SECONDS"):
        monkeypatch.setattr(module, name, 0.5)
    monkeypatch.setattr(module, "CHECK", 1)


@pytest.mark.parametrize("pieces", [1, 50])
def test_headers_that_are_too_large_are_refused(pieces):
    head = b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"h%d: %b\r\n" % (n, b"v" * 2_000) for n in range(60)) + b"\r\n"
    with serving() as (port, _), connect(port) as client:
        step = len(head) // pieces + 1
        for at in range(0, len(head), step):
            try:
                client.sendall(head[at : at + step])
            except OSError:  # refused before the end
                break
            time.sleep(0.001)
        assert read_all(client).startswith(b"HTTP/1.1 431 ")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_handshake_that_is_never_complete_is_closed(tmp_path, loop):
    certificate, key = tmp_path / "service.pem", tmp_path / "service.key"
    names = ("-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", *names], check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(ssl_certfile=str(certificate), ssl_keyfile=str(key), loop=loop) as (port, _):
        started = time.monotonic()
        half_open = [connect(port) for _ in range(50)]
        for number, each in enumerate(half_open):
            each.sendall(b"\x16\x03\x01\x02\x00"[: number % 6])
        client = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trusting)
        client.request("GET", "/")
        assert client.getresponse().status == 200
        client.close()
        for each in half_open:
            assert read_all(each) == b""
            each.close()
        assert time.monotonic() - started < 5


def test_headers_without_end_are_refused():
    with serving() as (port, _), connect(port) as client:
        client.sendall(b"GET / HTTP/1.1\r\nh: ")
        with pytest.raises(OSError):
            for _ in range(10_000):
                client.sendall(b"x" * 65_536)


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        (b"", b""),
        (b"GET / HTT", b"HTTP/1.1 408 "),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345", b"HTTP/1.1 408 "),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", b"HTTP/1.1 408 "),
    ],
)
def test_a_request_that_is_never_complete_is_closed(sent, reply):
    with serving() as (port, server), connect(port) as client:
        client.sendall(sent)
        began = time.monotonic()
        assert read_all(client).startswith(reply)
        assert 0.3 < time.monotonic() - began < 10
        wait_for(lambda: not server.server_state.connections and not server.server_state.tasks, 20, "the end")


def test_headers_that_trickle_are_closed():
    with serving() as (port, _), connect(port) as client, pytest.raises(OSError):
        for _ in range(200):
            client.sendall(b"h: v\r\n" if _ else b"GET / HTTP/1.1\r\n")
            time.sleep(0.05)


def test_a_body_that_trickles_is_closed(monkeypatch):
    monkeypatch.setattr(module, "BODY_RATE", 1_000_000)
    with serving() as (port, _), connect(port) as client, pytest.raises(OSError):
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            client.sendall(b"x")
            time.sleep(0.05)


def test_a_client_that_does_not_read_is_closed():
    with serving() as (port, server), connect(port) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /0?80000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for(lambda: server.server_state.connections, 20, "the connection")
        wait_for(lambda: not server.server_state.connections, 20, "the end")


def test_requests_that_take_long_are_not_closed():
    with serving() as (port, _):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(2):
            client.request("POST", "/1.5", b"x" * 300_000)
            assert client.getresponse().read() == b"300000"
        client.close()


def test_connections_above_the_limit_get_a_response():
    with serving(limit=5) as (port, _):
        taken = [connect(port) for _ in range(5)]
        time.sleep(0.2)
        for _ in range(20):
            with connect(port) as client:
                client.sendall(REQUEST)
                reply = read_all(client)
                assert reply.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in reply
        for each in taken:
            each.close()
        wait_for(lambda: ask(port).startswith(b"HTTP/1.1 200 "), 20, "a connection that is served")


def test_the_oldest_idle_connection_makes_room():
    with serving(limit=3) as (port, _):
        taken = [connect(port) for _ in range(3)]
        for each in taken:
            each.sendall(REQUEST)
            read_reply(each)
        time.sleep(1.0)
        assert ask(port).startswith(b"HTTP/1.1 200 ")
        assert taken[0].recv(10) == b""
        for each in taken:
            each.close()


def ask(port: int) -> bytes:
    with connect(port) as client:
        client.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return read_all(client)


def test_the_end_loses_no_request(monkeypatch):
    monkeypatch.setattr(module, "DRAIN_SECONDS", 5.0)
    counted, failed = [0], []

    def load(port):
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while True:
            try:
                client.request("POST", "/0.002", b"abc")
            except ConnectionRefusedError:
                return
            try:
                response = client.getresponse()
                assert (response.status, response.read()) == (200, b"3")
            except (OSError, http.client.HTTPException, AssertionError) as error:
                failed.append(repr(error))
                return
            counted[0] += 1

    with serving() as (port, server):
        idle = connect(port)
        idle.sendall(REQUEST)
        assert b"200 OK" in read_reply(idle)
        slow = threading.Thread(target=lambda: failed.extend([] if b"200 OK" in send_slow(port) else ["slow"]))
        slow.start()
        clients = [threading.Thread(target=load, args=(port,)) for _ in range(16)]
        for each in clients:
            each.start()
        wait_for(lambda: counted[0] > 100, 20, "a hundred responses")
        server.should_exit = True
        for each in [*clients, slow]:
            each.join(20)
        idle.sendall(REQUEST)  # on its way while the server ends
        reply = read_all(idle)
        idle.close()
    assert failed == []
    assert reply.startswith(b"HTTP/1.1 200 ") and b"connection: close" in reply


def send_slow(port):
    with connect(port) as client:
        client.sendall(b"POST /0.5 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        time.sleep(0.3)
        client.sendall(b"abc")
        return read_all(client)


def test_the_limit_leaves_files_for_others(monkeypatch):
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 512))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert allow_connections() == 1
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    assert allow_connections() == module.CONNECTIONS
