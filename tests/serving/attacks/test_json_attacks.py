"""JSON bodies made to take time or memory: refused early, while the event loop goes on."""

import json
from collections.abc import Callable

import pytest
from attacked_endpoint import BLOCKED, GOOD, Memory, attack, attack_again, rows

from mlnb.serving.runtime import endpoint_resources

LIMIT = 256 * 2**20
MILLION = 1_000_000
LONG = 60 * MILLION
ATTACKS: dict[str, Callable[[], bytes]] = {  # made when they are needed: together they take 600 MB
    "empty objects": lambda: b"[" + b"{}," * (LONG // 3) + b"{}]",
    "lists": lambda: b'[{"age":[' + b"[]," * (LONG // 3) + b"[]]}]",
    "many lists": lambda: b"[" + (b'{"age":[' + b"[]," * 300 + b"[]]},") * 50_000 + b"{}]",
    "names": lambda: b"[{" + b",".join(b'"k%d":1' % number for number in range(4 * MILLION)) + b"}]",
    "spaces": lambda: b"[" + b" " * LONG + b"]",
    "quotes": lambda: b"[{" + b'"' * LONG,
    "deep": lambda: b"[{" + b'"a":{' * (LONG // 5),
    "digits": lambda: b'[{"age":' + b"1" * LONG + b"}]",
    "wrong values": lambda: b"[" + b'{"age":"x"},' * 5_000_000 + b"{}]",
    "bytes": lambda: b"[" + b"\xff" * LONG,
}
SMALL = {
    "empty objects": b"[" + b"{}," * 5_000 + b"{}]",
    "unknown columns": b"[{" + b",".join(b'"k%d":1' % number for number in range(1_500)) + b"}]",
    "long unknown columns": b"[{" + b",".join(b'"%d%b":1' % (n, b"x" * 900) for n in range(17)) + b"}]",
    "one long name": b'[{"' + b"x" * 16_000 + b'":1}]',
    "lists": b'[{"age":[' + b"[]," * 5_000 + b"[]]}]",
    "deep": b'[{"age":' + b"[" * 8_000,
    "rows": json.dumps([GOOD] * 120).encode(),
    "short rows": b"[" + b",".join([b'{"sex":"f","fare paid \xe2\x82\xac":1}'] * 400) + b"]",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_large_body_does_not_block_the_event_loop(endpoint, name):
    body = ATTACKS[name]()
    with Memory() as memory:
        seen = attack_again(endpoint, [body, rows(1), rows(3)])
    assert sorted(seen.statuses)[:2] == [200, 200] and max(seen.statuses) in (200, 400, 413, 422)
    assert seen.blocked < BLOCKED
    assert memory.most < LIMIT
    assert max(len(body) for _, body in seen.replies) < 20_000
    assert endpoint.resources.budget.used == 0


@pytest.mark.parametrize("name", SMALL)
def test_a_small_body_does_not_block_the_event_loop(endpoint, name):
    seen = attack_again(endpoint, [SMALL[name]] * 3)
    assert set(seen.statuses) <= {200, 400, 413, 422}
    assert seen.blocked < BLOCKED


def test_good_rows_in_number_do_not_block_the_event_loop(endpoint):
    with Memory() as memory:
        seen = attack_again(endpoint, [rows(10_000)] * 4)
    assert seen.statuses == [200] * 4
    assert seen.blocked < BLOCKED and memory.most < LIMIT


def test_more_than_the_memory_is_refused_until_there_is_some(endpoint):
    body = b"[" + b" " * LONG + b"]"
    seen = attack(endpoint, [body] * 6)
    assert set(seen.statuses) == {200, 503} and seen.statuses.count(200) >= 1
    assert endpoint.resources.budget.used == 0
    assert attack(endpoint, [body]).statuses == [200]


def test_a_problem_quotes_single_values_only(endpoint):
    bad = {**GOOD, "age": {"a": "secret"}, "note": ["secret"], "sex": {"b": 1}}
    for count in (1, 400):
        ((status, reply),) = attack(endpoint, [json.dumps([bad] * count).encode()]).replies
        assert status == 422 and b"secret" not in reply
        assert {each["found"] for each in json.loads(reply)["problems"]} == {"an object", "a list"}


def test_row_numbers_count_from_the_start_of_the_body(endpoint):
    body = json.dumps([GOOD] * 3_000 + [{**GOOD, "age": "x"}] * 50).encode()
    ((status, reply),) = attack(endpoint, [body]).replies
    assert status == 422
    assert [each["row"] for each in json.loads(reply)["problems"]] == list(range(3_000, 3_020))
    assert "at least" in json.loads(reply)["error"]


def test_a_request_ends_soon_after_its_deadline(endpoint, monkeypatch):
    monkeypatch.setattr(endpoint_resources, "SECONDS", 0.0)
    assert attack(endpoint, [rows(10_000)]).statuses == [504]


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "zstd"])
def test_a_compressed_body_is_not_unpacked(endpoint, coding):
    headers = [(b"content-encoding", coding.encode())]
    assert attack(endpoint, [b"x"], headers=headers).statuses == [415]


@pytest.mark.parametrize("query", [b"explain=banana", b"explain=", b"explain=1", b"explain=true&explain=false"])
def test_a_wrong_value_of_an_option_is_refused(endpoint, query):
    assert attack(endpoint, [rows(1)], query=query).statuses == [400]


def test_the_readiness_check_is_computed_once_in_a_while(endpoint, monkeypatch):
    assert endpoint.ready()
    monkeypatch.setattr(type(endpoint.reloader.current.predictor), "replay", lambda _: pytest.fail("again"))
    assert all(endpoint.ready() for _ in range(100))
