"""Connections of a worker: limits of time, size and number, and an end that loses no request."""

import http.client
import re
import socket
import threading
import time

import pytest
from limited_servers import connect, read_all, serving
from waiting import wait_for

from mlnb.serving.runtime import http_connections as module
from mlnb.serving.runtime import http_server

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


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
    seconds = ("HEADER_SECONDS", "BODY_SECONDS", "SEND_SECONDS", "DRAIN_SECONDS", "LEAST_IDLE_SECONDS", "FIRST_SECONDS")
    for name in seconds:
        monkeypatch.setattr(module, name, 0.5)
    monkeypatch.setattr(http_server, "CHECK", 1)


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


def test_connections_that_never_send_a_request_make_room_first(monkeypatch):
    """Connections without a complete request delay other clients by a second at most."""
    monkeypatch.setattr(module, "HEADER_SECONDS", 60.0)
    monkeypatch.setattr(module, "LEAST_IDLE_SECONDS", 0.0)
    with serving(limit=60) as (port, server):
        older = [connect(port) for _ in range(10)]
        for each in older:
            each.sendall(REQUEST)
            read_reply(each)
        silent = [connect(port) for _ in range(50)]
        for number, each in enumerate(silent):
            each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n"[: number % 20])
        time.sleep(0.8)
        more = [connect(port) for _ in range(40)]
        for each in more:
            each.sendall(REQUEST)
            assert read_reply(each).startswith(b"HTTP/1.1 200 ")
        assert len(server.server_state.connections) == 60
        for each in older:
            each.sendall(REQUEST)
            assert read_reply(each).startswith(b"HTTP/1.1 200 "), "it has sent a request before"
        for each in [*older, *silent, *more]:
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
