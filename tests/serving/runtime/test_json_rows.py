"""Rows of a JSON body, read in slices: the same rows as json.loads gives, and a bounded effort for anything else."""

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.serving.runtime import json_rows
from mlnb.serving.runtime.json_rows import LONGEST_ROW, SLICE_ROWS, SMALL, read_rows, read_slices
from mlnb.serving.runtime.request_bodies import MAX_BYTES, MAX_ROWS, BadRequest

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
LONG = {"a": 1.5, "ünïcödé \U0001f600": 'text with \\ " [ { ', "b": None, "nested": [{"c": [1, 2]}, {}]}


def test_a_list_of_objects_is_read():
    assert read_rows(b'[{"a": 1, "\xc3\xa4 b": null}, {}]') == [{"a": 1, "ä b": None}, {}]
    assert read_rows(b"[]") == []


@pytest.mark.parametrize(
    ("body", "description"),
    [
        (b"", "no JSON"),
        (b"{nope", "no JSON"),
        (b"\xff\xfe\xfa", "no JSON"),
        (b'[{"a": NaN}]', "NaN is not a JSON number"),
        (b'[{"a": -Infinity}]', "-Infinity is not a JSON number"),
        (b'[{"a": ' + b"1" * 5000 + b"}]", "no JSON"),
        (b"[" * 100_000, "a list as row 0"),
        (b"[" * 10_000, "no JSON"),
        (b'{"rows": []}', "an object"),
        (b'"text"', "a string"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b"7", "a number"),
        (b"[{}, 7]", "a number as row 1"),
        (b"[[1, 2]]", "a list as row 0"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(body, description):
    with pytest.raises(BadRequest) as caught:
        read_rows(body)
    assert caught.value.status == 400
    assert description in caught.value.problems[0].found
    assert "list of objects" in caught.value.refusal().error


def test_too_many_rows_are_refused():
    with pytest.raises(BadRequest, match="more than 2 rows, expected at most 2") as caught:
        read_rows(b"[{}, {}, {}]", limit=2)
    assert caught.value.status == 413
    with pytest.raises(BadRequest, match="in parts") as caught:
        read_rows(b" " * (MAX_BYTES + 1))
    assert caught.value.status == 413


@settings(max_examples=60)
@given(rows=st.lists(st.dictionaries(st.text(), SCALARS | st.lists(SCALARS, max_size=3), max_size=5), max_size=8))
def test_slices_hold_what_the_whole_text_holds(rows):
    padded = [*rows, *([LONG] * 300)]
    for text in (json.dumps(padded), json.dumps(padded, ensure_ascii=False, indent=1)):
        body = text.encode("utf-8", "surrogatepass")
        try:
            expected = json.loads(body.decode())
        except UnicodeDecodeError:
            with pytest.raises(BadRequest):
                read_rows(body)
            continue
        assert len(body) > SMALL and read_rows(body) == expected
        assert read_rows(b"\xef\xbb\xbf" + body) == expected


PIECES = [
    b'"',
    b"\\",
    b"\\ud83d",
    b"\\u0000",
    b"1",
    b"0",
    b"-",
    b".",
    b"e",
    b"E+",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\t",
]
PIECES += [
    b"null",
    b"NaN",
    b"1e400",
    b"-0",
    b"9" * 30,
    b"7" * 400,
    b"1" * 5000,
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\xff",
    b"\xc3\xa4",
]
PIECES += [b'"a":1,', b'{"a":2}', b"\x00", b"\x0b", b"\n"]


@settings(max_examples=400)
@given(
    rows=st.lists(st.dictionaries(st.text(), SCALARS | st.lists(SCALARS, max_size=2), max_size=3), max_size=3),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2), st.sampled_from(PIECES)), max_size=2),
)
def test_the_fast_decoder_reads_and_refuses_as_that_of_python(rows, changes):
    body = bytearray(json.dumps(rows, ensure_ascii=len(changes) == 1).encode("utf-8", "surrogatepass"))
    for at, removed, piece in changes:
        at %= len(body) + 1
        body[at : at + removed] = piece
    assert outcome(json_rows._read_whole, body) == outcome(json_rows._read_unusual, body)


def outcome(read, body):
    """Return the text of the rows, where 1, 1.0 and True differ, or the error."""
    try:
        return repr(read(bytes(body), 2))
    except (ValueError, RecursionError) as error:
        return f"{type(error)}: {error}"


@pytest.mark.parametrize("window", [16, 61, 2**17])
def test_characters_and_rows_may_be_cut_by_a_window(window, monkeypatch):
    monkeypatch.setattr(json_rows, "WINDOW", window)
    rows = [{**LONG, "number": number} for number in range(300)]
    assert read_rows(json.dumps(rows, ensure_ascii=False).encode()) == rows


def test_a_slice_is_bounded_by_rows_and_by_text():
    assert max(len(rows) for rows in read_slices(json.dumps([LONG] * 5000).encode())) == SLICE_ROWS
    long = json.dumps([{"text": "x" * 100_000}] * 20).encode()
    assert max(len(rows) for rows in read_slices(long)) <= 3
    assert [len(rows) for rows in read_slices(b"[" + b" " * SMALL + b"]")] == [0]


PAD = b" " * SMALL


@pytest.mark.parametrize(
    ("body", "status", "description"),
    [
        (b"[{}, 7]" + PAD, 400, "a number as row 1"),
        (PAD + b'{"rows": []}', 400, "an object"),
        (PAD, 400, "no JSON"),
        (b"[{}" + PAD, 400, "no JSON"),
        (b"[{}]" + PAD + b"x", 400, "no JSON"),
        (b"[{},]" + PAD, 400, "no JSON"),
        (b'[{"a": NaN}]' + PAD, 400, "NaN is not a JSON number"),
        (b'[{"a": 1, "a": 2}]' + PAD, 400, "the name 'a' twice"),
        (b'[{"a": {"b": 1, "b": 1}}]', 400, "the name 'b' twice"),
        (b'[{"a": "\xff"}]' + PAD, 400, "no JSON"),
        (b'[{"a": "' + b"x" * (LONGEST_ROW + 10) + b'"}]', 413, "a row of more than"),
    ],
)
def test_anything_else_is_refused(body, status, description):
    with pytest.raises(BadRequest) as caught:
        read_rows(body)
    assert caught.value.status == status and description in caught.value.problems[0].found


ATTACKS: dict[str, Callable[[], bytes]] = {  # made when they are needed: together they take 600 MB
    "rows": lambda: b"[" + b"{}," * 20_000_000 + b"{}]",
    "lists": lambda: b'[{"a":[' + b"[]," * 10_000_000,
    "objects": lambda: b'[{"a":[' + b"{}," * 10_000_000,
    "deep": lambda: b"[{" + b'"a":{' * 5_000_000,
    "brackets": lambda: b"[" * 60_000_000,
    "quotes": lambda: b"[{" + b'"' * 60_000_000,
    "texts": lambda: b'[{"a":[' + b'"",' * 20_000_000,
    "spaces": lambda: b"[" + b" " * 60_000_000,
    "names": lambda: b"[{" + b",".join(b'"k%d":1' % n for n in range(500_000)) + b"}]",
    "digits": lambda: b'[{"a":' + b"1" * 60_000_000,
    "backslashes": lambda: b'[{"a":"' + b"\\" * 60_000_000,
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_after_little_work(attack):
    body = ATTACKS[attack]()
    assert len(body) <= MAX_BYTES
    began = time.process_time()
    with pytest.raises(BadRequest) as caught:
        for rows in read_slices(body):
            assert len(rows) <= MAX_ROWS
    assert caught.value.status in (400, 413)
    assert time.process_time() - began < 3
