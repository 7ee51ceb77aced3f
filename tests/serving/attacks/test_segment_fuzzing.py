"""Damaged segments of the prediction log: every whole line is read, what is damaged is retained and counted."""

import json
import random
import warnings
from pathlib import Path

import pytest

from mlnb.errors import DamagedFileWarning
from mlnb.monitoring.prediction_table import convert_finished, read_log
from mlnb.serving.runtime.log_segments import convert_segment

LINES = [
    json.dumps(
        {
            "id": f"r{number}",
            "time": 1000.0 + number,
            "model": "m:1",
            "ms": 0.5,
            "shadow": False,
            "rows": [{"age": number, "plan": "basic é", "vip": None}] * (1 + number % 2),
            "responses": [{"prediction": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}] * (1 + number % 2),
        },
        ensure_ascii=False,
    ).encode()
    + b"\n"
    for number in range(12)
]
PIECES = [
    b"\n",
    b"{",
    b"}",
    b"[",
    b'"',
    b"null",
    b"\0",
    b"\xff\xfe",
    b"1e999",
    b"NaN",
    b'{"id":1}\n',
    b"[]\n",
    b"-",
    b",",
]


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Return data with one to four changes: a cut, a flipped byte, a piece put in, a part repeated or moved."""
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at, other = sorted(rng.randrange(len(damaged) + 1) for _ in range(2))
        kind = rng.randrange(5)
        if kind == 0:
            del damaged[at : at + rng.randint(1, 200)]
        elif kind == 1 and damaged:
            damaged[min(at, len(damaged) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 2:
            damaged[at:at] = rng.choice(PIECES)
        elif kind == 3:
            damaged[at:at] = damaged[at:other]
        else:
            del damaged[at:]
    return bytes(damaged)


@pytest.mark.filterwarnings("ignore::mlnb.errors.DamagedFileWarning")
def test_whole_lines_of_a_damaged_segment_are_read_and_nothing_is_lost(tmp_path: Path) -> None:
    rng = random.Random(15)
    for number in range(150):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "20260101T000000-999999999-a-1.jsonl"
        data = mutate(b"".join(LINES), rng)
        path.write_bytes(data)
        whole = {json.loads(line)["id"] for line in data.splitlines(keepends=True) if line in LINES}
        before, damaged = read_log(folder)
        assert whole <= set(before["request"])
        convert_finished(folder)
        after, _ = read_log(folder)
        assert len(after) == len(before)
        retained = folder / "20260101T000000-999999999-a-1.damaged"
        assert retained.exists() == (damaged > 0)
        assert not retained.exists() or all(line in data for line in retained.read_bytes().splitlines())


def test_a_damaged_table_is_left_out_and_kept(tmp_path: Path) -> None:
    (tmp_path / "20260101T000000-1-a-1.jsonl").write_bytes(b"".join(LINES[:6]))
    good = convert_segment(tmp_path / "20260101T000000-1-a-1.jsonl")
    assert good is not None
    rows = len(read_log(tmp_path)[0])
    original, rng, reported = good.read_bytes(), random.Random(15), 0
    path = tmp_path / "20260102T000000-1-a-2.parquet"
    for _ in range(300):
        data = mutate(original, rng)
        path.write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DamagedFileWarning)
            table, damaged = read_log(tmp_path)
        assert damaged == len(caught) <= 1
        assert len(table) >= rows
        assert path.read_bytes() == data
        reported += damaged
    assert reported > 100
