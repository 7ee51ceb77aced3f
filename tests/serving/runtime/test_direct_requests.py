"""Requests that are handled directly get the responses that they get over ASGI, and share a connection with others."""

import asyncio
import json
import random
import re
import time
from contextlib import suppress

import pytest
from limited_servers import connect, read_all, serving

from mlnb.serving.runtime import http_connections, http_server
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.json_rows import SMALL
from mlnb.settings import ServiceSettings

GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}
END = (
    b"POST /predict HTTP/1.1\r\nX-API-Key: key\r\nX-Request-Id: end\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]"
)


class Application:
    """The endpoint without BentoML, and the number of requests that it handled directly."""

    def __init__(self, endpoint: Endpoint, direct: bool) -> None:
        self.endpoint, self.handled = endpoint, 0
        if direct:
            self.respond_directly = self.count

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            await self.endpoint(scope, receive, send)

    def count(self, url, headers, body):
        reply = self.endpoint.respond_directly(url, headers, body)
        self.handled += reply is not None
        return reply


@pytest.fixture(scope="module")
def endpoint(material, tmp_path_factory):
    folder = material().bundle(tmp_path_factory.mktemp("direct") / "service").folder / "model"
    created = Endpoint(folder, ServiceSettings(environment={"MLNB_API_KEY": "key"}))
    yield created
    created.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("HEADER_SECONDS", "BODY_SECONDS"):
        monkeypatch.setattr(http_connections, name, 0.5)
    monkeypatch.setattr(http_server, "CHECK", 1)


def post(body: bytes = b"", *lines: str, length: int | None = None, first: str = "POST /predict HTTP/1.1") -> bytes:
    """Return a request with a key and an id."""
    head = [first, "Host: x", "X-API-Key: key", "X-Request-Id: r", *lines]
    if length is None or length >= 0:
        head.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*head, "", ""]).encode() + body


ROW = json.dumps([GOOD]).encode()
END = post(b"[]", "Connection: close")
REQUESTS = {
    "plain": post(ROW),
    "two rows": post(json.dumps([GOOD, {**GOOD, "sex": "m"}]).encode()),
    "media type": post(ROW, "Content-Type: application/json; charset=utf-8"),
    "wrong media type": post(ROW, "Content-Type: text/csv"),
    "coding": post(ROW, "Content-Encoding: gzip"),
    "wrong rows": post(json.dumps([{**GOOD, "sex": 7}]).encode()),
    "no JSON": post(b"[{"),
    "no rows": post(b"[]"),
    "no body": post(b""),
    "no length": post(length=-1),
    "explained": post(ROW, first="POST /predict?explain=true HTTP/1.1"),
    "wrong explain": post(ROW, first="POST /predict?explain=perhaps HTTP/1.1"),
    "many rows": post(json.dumps([GOOD] * 400).encode()),
    "large body": post(b"[" + b" " * (SMALL + 1) + b"]"),
    "another method": post(first="GET /predict HTTP/1.1"),
    "version 1.0": post(ROW, first="POST /predict HTTP/1.0"),
    "closing": post(ROW, "Connection: close"),
    "continue": post(ROW, "Expect: 100-continue"),
    "chunks": post(b"4\r\n[{} \r\n1\r\n]\r\n0\r\n\r\n", "Transfer-Encoding: chunked", length=-1),
    "two lengths": post(ROW, "Content-Length: 3"),
    "signed length": post(b"[]", "Content-Length: +2", length=-1),
    "long length": post(b"[]", "Content-Length: 0000000002", length=-1),
    "wrong key": post(ROW).replace(b"X-API-Key: key", b"X-API-Key: other"),
    "wrong id": post(ROW).replace(b"X-Request-Id: r", b"X-Request-Id: \xff"),
    "routing key": post(ROW, "X-Routing-Key: \u20ac"),
}
DIRECT = {"plain", "two rows", "media type", "wrong rows", "no JSON", "no rows", "no body", "routing key", "wrong id"}


def normal(replies: bytes) -> bytes:
    """Return replies without what differs by time: dates and the ids that the service gives."""
    text = re.sub(rb"date: [^\r]*", b"date", replies)
    return re.sub(rb"x-request-id: [0-9a-f]+-[0-9a-f]+", b"x-request-id", text)


def exchange(port: int, sent: bytes, parts: int = 1) -> bytes:
    with connect(port) as client:
        size = -(-len(sent) // parts)
        for at in range(0, len(sent), size):
            with suppress(ConnectionError):  # refused before the end
                client.sendall(sent[at : at + size])
            time.sleep(0.02 if parts > 1 else 0)
        return read_all(client)


@pytest.fixture(scope="module")
def servers(endpoint):
    direct, plain = Application(endpoint, True), Application(endpoint, False)
    with serving(application=direct) as (first, _), serving(application=plain) as (second, _):
        yield direct, first, second


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("parts", [1, 3])
def test_responses_are_those_of_asgi(servers, name, parts):
    direct, first, second = servers
    before, sent = direct.handled, REQUESTS[name] + END
    one, other = exchange(first, sent, parts), exchange(second, sent, parts)
    assert normal(one) == normal(other)
    assert one.startswith(b"HTTP/1.1 ")
    assert (direct.handled > before) == (name in DIRECT)


def test_many_requests_in_one_piece_are_answered_in_order(servers):
    direct, first, _ = servers
    before = direct.handled
    sent = b"".join(post(ROW).replace(b"Id: r", b"Id: r%d" % number) for number in range(100)) + END
    replies = exchange(first, sent)
    assert re.findall(rb"x-request-id: (\w+)", replies) == [b"r%d" % number for number in range(100)] + [b"r"]
    assert replies.count(b"HTTP/1.1 200 OK") == 101
    assert direct.handled - before == 16  # the others let other connections have their turn


def test_mixed_requests_of_one_connection_are_answered_in_order(servers):
    rng = random.Random(5)
    names = sorted(REQUESTS.keys() - {"closing", "version 1.0", "two lengths", "signed length", "continue"})
    _, first, second = servers
    for _ in range(10):
        sent = b"".join(REQUESTS[rng.choice(names)] for _ in range(12)) + END
        parts = rng.randint(1, 4)
        assert normal(exchange(first, sent, parts)) == normal(exchange(second, sent, parts))


def test_mutated_requests_get_the_same_responses(servers):
    """One to three bytes of a request are replaced, removed or doubled."""
    _, first, second = servers
    rng = random.Random(11)
    mutated = [mutate(rng, REQUESTS[rng.choice(sorted(DIRECT))]) + END for _ in range(150)]

    async def send(port, content):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(content)
        reply = bytearray()
        with suppress(ConnectionResetError):
            while part := await reader.read(65_536):
                reply += part
        writer.close()
        return bytes(reply)

    async def send_all():
        tasks = [(port, each) for each in mutated for port in (first, second)]
        some = [tasks[at : at + 20] for at in range(0, len(tasks), 20)]
        return [reply for part in some for reply in await asyncio.gather(*(send(*each) for each in part))]

    replies = asyncio.run(send_all())
    for content, one, other in zip(mutated, replies[::2], replies[1::2], strict=True):
        if b"Invalid HTTP request" in other:  # over ASGI it also ends a request before it whose task has not started
            assert normal(one).endswith(normal(other)), content
        else:
            assert normal(one) == normal(other), content
    assert sum(b"200 OK" in each for each in replies) > 50


def mutate(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed))
        changed[at : at + rng.randint(0, 1)] = rng.choice(
            [b"", b"\r", b"\n", b"0", b"{", b":", changed[at : at + 1] * 2]
        )
    return bytes(changed)


def test_a_connection_without_further_requests_is_closed(endpoint, monkeypatch):
    monkeypatch.setattr("mlnb.serving.runtime.direct_requests.IDLE_SECONDS", 0.5)
    with serving(application=Application(endpoint, True)) as (port, _), connect(port) as client:
        client.sendall(post(ROW))
        start = time.monotonic()
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - start < 10


def test_a_request_to_upgrade_is_handled_over_asgi(servers):
    direct, first, _ = servers
    before = direct.handled
    with connect(first) as client:
        client.sendall(post(ROW, "Connection: upgrade", "Upgrade: h2c"))
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")  # uvicorn does not read the body of such a request
    assert direct.handled == before


def test_a_body_that_never_comes_is_refused(servers):
    _, first, _ = servers
    with connect(first) as client:
        client.sendall(post(b"[", length=2))
        assert read_all(client).startswith(b"HTTP/1.1 408 ")
