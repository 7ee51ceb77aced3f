"""The options and the body of a request as ASGI delivers them."""

import asyncio
import json

import pytest

from mlnb.serving.runtime import http_messages
from mlnb.serving.runtime.http_messages import (
    RequestOptions,
    discard_body,
    read_body,
    read_options,
    refuse,
    routing_key,
)
from mlnb.serving.runtime.memory_budget import MemoryBudget, Reservation
from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.serving.runtime.table_decoder import ARROW

RESERVATION = Reservation(MemoryBudget(2**20))


def receiving(*parts):
    """Return ASGI's `receive` for a body in parts, and the parts that are left."""
    waiting = list(parts)

    async def receive():
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    return receive, waiting


def test_options_come_from_headers_and_query():
    headers = {b"content-type": b"Application/JSON; charset=utf-8", b"accept": b"*/*", b"x-routing-key": b"customer 7"}
    options = read_options(b"a=1&EXPLAIN=true", headers, "r1")
    assert options == RequestOptions(accept="*/*", explain=True, request_id="r1", key="customer 7")
    assert read_options(b"", {b"content-type": ARROW.encode()}, "r2") == RequestOptions(
        kind=ARROW, request_id="r2", key="r2"
    )


def test_routing_keys():
    assert routing_key({b"x-routing-key": b"customer 7"}, "r1") == "customer 7" and routing_key({}, "r1") == "r1"


def test_a_type_that_is_not_read_is_refused():
    with pytest.raises(BadRequest, match="found a body of type 'text/csv', expected application/json") as caught:
        read_options(b"", {b"content-type": b"text/csv"}, "r")
    assert caught.value.status == 415


def test_a_body_arrives_in_parts_and_is_cut_off_when_it_is_too_long(monkeypatch):
    monkeypatch.setattr(http_messages, "MAX_BYTES", 10)
    receive, waiting = receiving(b"[{}", b", {}]")
    assert asyncio.run(read_body({}, receive, RESERVATION)) == b"[{}, {}]" and waiting == []
    receive, waiting = receiving(b"12345", b"67890", b"1", b"2", b"3")
    with pytest.raises(BadRequest, match="more than 10 bytes") as caught:
        asyncio.run(read_body({}, receive, RESERVATION))
    assert caught.value.status == 413 and waiting == [b"2", b"3"]
    with pytest.raises(BadRequest, match="11 bytes"):
        asyncio.run(read_body({b"content-length": b"11"}, receive, RESERVATION))


def test_a_body_is_discarded_up_to_the_limit(monkeypatch):
    monkeypatch.setattr(http_messages, "MAX_BYTES", 4)
    receive, waiting = receiving(b"12", b"34", b"56")
    asyncio.run(discard_body(receive))
    assert waiting == [b"56"]


def test_a_refusal_states_what_was_found_and_expected():
    reply = refuse(503, "68 batches", "fewer", "churn:1")
    problem = {"row": None, "column": None, "found": "68 batches", "expected": "fewer"}
    assert (reply.status, reply.version, reply.kind) == (503, "churn:1", "application/json")
    assert json.loads(reply.body) == {"error": "found 68 batches, expected fewer", "problems": [problem]}
