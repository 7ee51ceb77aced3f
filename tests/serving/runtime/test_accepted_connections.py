"""Connections of a worker: accepted one at a time, and TLS handshakes with limits of time and number."""

import asyncio
import http.client
import shutil
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from limited_servers import connect, read_all, serving
from waiting import wait_for

from mlnb.serving.runtime import accepted_connections as module
from mlnb.serving.runtime.accepted_connections import limit_accepting

HELLO = b"\x16\x03\x01\x02\x00"  # the start of a record with a handshake


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Options of a server with a certificate, and what its clients trust."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "service.pem", folder / "service.key"
    names = ("-nodes", "-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    subprocess.run(["openssl", "req", "-x509", *kind, *names], check=True, capture_output=True)
    options = {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    return options, ssl.create_default_context(cafile=str(certificate))


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request):
    """Both event loops that uvicorn may use."""
    return request.param


def ask(port, trusted, path="/", body=None):
    """Return status and body of a request over TLS."""
    client = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=trusted)
    try:
        client.request("POST", path, body)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def half_open(port, count):
    """Return connections whose handshakes are never complete; some have not even begun."""
    connections = [connect(port) for _ in range(count)]
    for number, each in enumerate(connections):
        each.sendall(HELLO[: number % 6])
    return connections


def test_a_handshake_that_is_never_complete_is_closed(tls, loop, monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKE_SECONDS", 0.5)
    options, trusted = tls
    with serving(**options, loop=loop) as (port, _):
        started = time.monotonic()
        connections = half_open(port, 50)
        assert ask(port, trusted)[0] == 200
        for each in connections:
            assert read_all(each) == b""
            each.close()
        assert time.monotonic() - started < 5


def test_half_open_handshakes_are_limited(tls, loop, monkeypatch):
    """With hundreds of them other clients are answered within a moment, and files stay within their limit."""
    monkeypatch.setattr(module, "HANDSHAKES", 30)
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.01)
    options, trusted = tls
    with serving(**options, loop=loop) as (port, server):
        (limited,) = server.servers
        connections = half_open(port, 300)
        for _ in range(20):  # each takes the place of the oldest
            assert ask(port, trusted)[0] == 200
            assert len(limited.pending) <= 30
        for each in connections:
            each.close()
        wait_for(lambda: not limited.pending and not server.server_state.connections, 20, "the end of the handshakes")


def test_a_burst_of_clients_waits_instead_of_being_refused(tls, loop, monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKES", 3)
    options, trusted = tls
    with serving(**options, loop=loop) as (port, _), ThreadPoolExecutor(40) as pool:
        assert [status for status, _ in pool.map(lambda _: ask(port, trusted), range(80))] == [200] * 80


def test_what_is_no_handshake_ends_and_requests_are_whole(tls, loop):
    options, trusted = tls
    with serving(**options, loop=loop) as (port, _):
        for sent in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", HELLO + b"x" * 600, b"\x00" * 70_000):
            with connect(port) as client:
                client.sendall(sent)
                assert b"HTTP/1.1" not in read_all(client)
        with connect(port) as raw, trusted.wrap_socket(raw, server_hostname="127.0.0.1") as client:
            request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
            client.sendall(request * 2)  # the first bytes arrive with the end of the handshake
            reply = b""
            while reply.count(b"300000") < 2:
                reply += client.recv(65_536)
        assert reply.count(b"HTTP/1.1 200 ") == 2
        assert ask(port, trusted, body=b"x" * 2_000_000) == (200, b"2000000")
        assert ask(port, trusted, "/0?2000000") == (200, b"x" * 2_000_000)


def test_a_burst_of_connections_is_accepted_one_at_a_time():
    async def accept(waiting):
        accepted = []
        limit_accepting(asyncio.get_running_loop())
        with socket.create_server(("127.0.0.1", 0), backlog=waiting) as listening:
            clients = [socket.create_connection(listening.getsockname()) for _ in range(waiting)]
            factory = type(
                "Accepted", (asyncio.Protocol,), {"connection_made": lambda _, transport: accepted.append(transport)}
            )
            server = await asyncio.get_running_loop().create_server(factory, sock=listening, backlog=waiting)
            counts = [0]
            while counts[-1] < waiting:
                await asyncio.sleep(0)
                counts.append(len(accepted))
            for each in (*clients, *accepted, server):
                each.close()
            await server.wait_closed()
        return counts

    counts = asyncio.run(asyncio.wait_for(accept(20), 20))
    assert max(after - before for before, after in pairwise(counts)) <= 2
