"""10,000 bodies that are damaged at random, in three formats: predictions or refusals, no crash, bounded memory."""

import json
import random

import pyarrow as pa
import pytest
from attacked_endpoint import GOOD, Memory, attack
from decoded_tables import write_body

from mlnb.serving.runtime.http_messages import JSON
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

MUTATIONS = {JSON: 4_000, ARROW: 3_000, PARQUET: 3_000}  # in one run
LIMIT = 256 * 2**20
TOKENS = [b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"1e999", b"NaN", b"\\ud800", b"\xff", b"-", b"\\u0000"]


def corpus(kind: str) -> list[bytes]:
    """Return bodies to begin with, of all types that a column may have."""
    rows = [{**GOOD, "age": None if number % 3 else 1.5, "note": "é" * number} for number in range(8)]
    if kind == JSON:
        return [json.dumps(rows[:count], ensure_ascii=count % 2 == 0).encode() for count in (0, 1, 2, 8)]
    plain = pa.Table.from_pylist(rows)
    typed = plain.set_column(2, "sex", plain["sex"].combine_chunks().dictionary_encode())
    typed = typed.set_column(5, "day", pa.array([0, None, 1, 2, 3, 4, 5, 6], pa.timestamp("ms", "UTC")))
    return [write_body(table, kind) for table in (plain, typed, plain.slice(0, 0))]


def damage(body: bytes, random_: random.Random) -> bytes:
    """Return a body with one to four random changes."""
    changed = bytearray(body)
    for _ in range(random_.randrange(1, 5)):
        at = random_.randrange(len(changed) + 1)
        match random_.randrange(7):
            case 0 if changed:
                changed[at % len(changed)] ^= 1 << random_.randrange(8)
            case 1 if changed:
                changed[at % len(changed)] = random_.choice([0, 1, 0x7F, 0x80, 0xFF])
            case 2:  # a number of 4 or 8 bytes, as lengths and offsets are
                width = random_.choice([4, 8])
                value = random_.choice([0, 1, -1, 2**31 - 1, -(2**31), random_.randrange(2**31)])
                changed[at : at + width] = value.to_bytes(width, "little", signed=True)
            case 3:
                del changed[at : at + random_.randrange(1, 64)]
            case 4:
                changed[at:at] = random_.choice(TOKENS)
            case 5:
                changed[at:at] = changed[: random_.randrange(1, 64)]
            case 6:
                del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("kind", MUTATIONS)
def test_damaged_bodies_are_answered_or_refused(endpoint, kind):
    random_ = random.Random(kind)
    bodies = corpus(kind)
    assert set(attack(endpoint, bodies, kind).statuses) == {200}
    with Memory() as memory:
        for _ in range(MUTATIONS[kind] // 50):
            damaged = [damage(random_.choice(bodies), random_) for _ in range(50)]
            for status, reply in attack(endpoint, damaged, kind).replies:
                assert status in (200, 400, 413, 422), reply[:300]
    assert memory.most < LIMIT
    assert endpoint.resources.budget.used == 0 and endpoint.resources.pending == 0
