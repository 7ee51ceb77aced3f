"""Endpoints: what is sent, retries, and an error for every response that is none."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from small_sentence_models import run_endpoint

from mlnb.errors import EmbeddingError
from mlnb.methods.encoding.embedding_endpoints import EmbeddingEndpoint


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    with run_endpoint() as server:
        yield server


@pytest.fixture
def server(running: Any) -> Any:
    running.requests.clear()
    running.statuses.clear()
    running.reply = b""
    return running


def make_endpoint(server: Any, key: str = "") -> EmbeddingEndpoint:
    return EmbeddingEndpoint(server.url, "small", key, pauses=(0.0, 0.0), sleep=lambda seconds: None)


def test_texts_are_sent_in_order_cut_off_and_in_batches(server: Any) -> None:
    vectors = make_endpoint(server, "secret").encode(["good", "bad bad", "", "good " * 100_000, *["film"] * 100])
    assert vectors[:4].tolist() == [[1, 0, 1], [0, 2, 1], [0, 0, 1], [1600, 0, 1]] and len(vectors) == 104
    assert [len(body["input"]) for _, body in server.requests] == [64, 40]
    key, body = server.requests[0]
    assert key == "Bearer secret" and body["model"] == "small" and body["input"][2] == "-"


def test_a_busy_endpoint_is_requested_again_and_a_refusal_is_not(server: Any) -> None:
    server.statuses = [429, 503]
    assert make_endpoint(server).encode(["good"]).tolist() == [[1, 0, 1]] and len(server.requests) == 3
    server.statuses = [500, 500, 500]
    with pytest.raises(EmbeddingError, match=r"did not embed 1 texts .* after 3 attempts: status 500"):
        make_endpoint(server).encode(["good"])
    server.statuses, server.requests[:] = [401], []
    with pytest.raises(EmbeddingError, match=r"'small': status 401. Check MLNB_EMBEDDINGS_URL"):
        make_endpoint(server).encode(["good"])
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_neither_texts_nor_key_follow_a_redirect(server: Any, status: int) -> None:
    server.statuses = [status]
    with pytest.raises(EmbeddingError, match=f"status {status}"):
        make_endpoint(server, "secret").encode(["good"])
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"{}",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": []}]}',
        b'{"data": [{"index": 0, "embedding": ["a"]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
        json.dumps({"data": [{"index": at, "embedding": [1.0]} for at in range(3)]}).encode(),
    ],
)
def test_another_response_is_an_error(server: Any, reply: bytes) -> None:
    server.reply = reply
    server.statuses = [200]
    endpoint = make_endpoint(server)
    with pytest.raises(EmbeddingError, match=r"expected one vector for each text|no response"):
        endpoint.encode(["good"])


def test_an_address_without_an_endpoint_and_a_key_in_clear_text_are_refused() -> None:
    with pytest.raises(EmbeddingError, match=r"after 3 attempts: no response"):
        EmbeddingEndpoint("http://127.0.0.1:9", "small", pauses=(0.0, 0.0), sleep=lambda seconds: None).encode(["a"])
    with pytest.raises(EmbeddingError, match=r"a key is sent over https:// only"):
        EmbeddingEndpoint("http://10.0.0.9/v1", "small", "secret")
    with pytest.raises(EmbeddingError, match=r"MLNB_EMBEDDINGS_URL is not set"):
        EmbeddingEndpoint("", "small")
