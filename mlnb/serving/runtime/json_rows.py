"""The rows of a JSON body, a slice at a time: no call takes longer than a few milliseconds, whatever the body holds."""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import msgspec

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.request_bodies import MAX_BYTES, MAX_ROWS, BadRequest, Body, too_large

SMALL = 16_384  # bytes of a body that is read in one call
WINDOW = 2**17  # bytes that are decoded at a time
ROW_TEXT = 2**12  # characters that a row is expected to have
LONGEST_ROW = 2**19  # characters of one row
CUT = 16  # characters before the end of a text that may be wrong because it ends there
COUNTED = 2**14  # characters in which lists and objects are counted at a time
CONTAINERS = 1_000  # lists and objects in a row that has more characters than expected
SLICE_ROWS = 512  # rows of a slice
SLICE_TEXT = 2**18  # characters of a slice, but for its last row
NAMES = {"{": "an object", "[": "a list", '"': "a string", "t": "a boolean", "f": "a boolean", "n": "null"}

EXPECTED_ROWS = 'a JSON list of objects by column name, such as [{"column": 1}]'

_skip_space = re.compile(r"[ \t\n\r]*").match


def read_rows(body: Body, limit: int = MAX_ROWS) -> list[JsonObject]:
    """Return the rows of a body.

    Raises:
        BadRequest: with status 400 when it is not a list of objects, with 413 when it is too large.
    """
    if len(body) > SMALL:
        return [row for rows in read_slices(body, limit) for row in rows]
    try:
        return _read_whole(body, limit)
    except (ValueError, RecursionError) as error:
        raise _explain(error) from None


def read_slices(body: Body, limit: int = MAX_ROWS) -> Iterator[list[JsonObject]]:
    """Yield the rows of a body in slices; one slice without rows for an empty list. Raises as `read_rows`."""
    if len(body) > MAX_BYTES:
        raise too_large(f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,} bytes in one request")
    try:
        if len(body) <= SMALL:
            yield _read_whole(body, limit)
        else:
            yield from _read_parts(_Text(body), limit)
    except (ValueError, RecursionError) as error:
        raise _explain(error) from None


def _explain(error: Exception) -> BadRequest:
    return error if isinstance(error, BadRequest) else bad_body(f"no JSON ({error})")


def _read_whole(body: Body, limit: int) -> list[JsonObject]:
    try:  # what msgspec reads, it reads as Python's decoder, in a fifth of the time
        rows = _decode_usual(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _read_unusual(body, limit)
    if len(rows) <= limit and body.count(b":") == sum(map(len, rows)):
        return rows
    return _read_unusual(body, limit)


def _read_unusual(body: Body, limit: int) -> list[JsonObject]:
    """Return rows as `_read_whole`, by Python's decoder, whose errors clients know. Raises as `read_rows`."""
    text = body.decode("utf-8-sig")
    rows = _decode_plain(text)
    if not isinstance(rows, list):
        raise bad_body(_kind(rows))
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise bad_body(f"{_kind(row)} as row {number}", number)
    if len(rows) > limit:
        raise _too_many(limit)
    if text.count(":") != sum(map(len, rows)):  # of a name that occurs twice, or of texts and objects in a row
        _decode(text)
    return rows


def _read_parts(text: "_Text", limit: int) -> Iterator[list[JsonObject]]:
    if (first := text.next()) != "[":
        raise bad_body(_name(first))
    text.at += 1
    rows: list[JsonObject] = []
    number = size = 0
    more = text.next() != "]"
    while more:
        if (first := text.next()) != "{":
            raise bad_body(f"{_name(first)} as row {number}", number)
        if number == limit:
            raise _too_many(limit)
        row, length = text.read_object()
        rows.append(row)
        number, size = number + 1, size + length
        more = text.next() == ","
        if not more and text.next() != "]":
            raise ValueError(f"expected ',' or ']' after row {number - 1}")
        text.at += more
        if len(rows) == SLICE_ROWS or size >= SLICE_TEXT:
            yield rows
            rows, size = [], 0
    text.at += 1
    if text.next():
        raise ValueError("expected nothing after the list")
    if rows or not number:
        yield rows


class _Text:
    """The text of a body, of which a window is decoded."""

    def __init__(self, body: Body) -> None:
        self.body, self.decoded = memoryview(body), 0
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.text, self.at = "", 0

    def next(self) -> str:
        """Return the next character that is no white space, "" at the end."""
        while True:
            match = _skip_space(self.text, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._decode_more():
                return ""

    def read_object(self) -> tuple[JsonObject, int]:
        """Return the object that begins here, and its length in characters."""
        size = ROW_TEXT
        while True:
            more = True
            while more and len(self.text) - self.at < size:
                more = self._decode_more()
            part = self.text[self.at : self.at + size]
            try:
                value, end = _scan(part, 0)
                self.at += end
                return value, end
            except StopIteration as stop:
                error: ValueError = json.JSONDecodeError("Expecting value", part[:CUT], min(stop.value, CUT))
                certain = stop.value < len(part) - CUT
            except json.JSONDecodeError as cause:  # perhaps because the part ends there
                error = cause
                certain = cause.pos < len(part) - CUT and not cause.msg.startswith("Unterminated")
            if certain or len(part) < size:
                raise error
            if size >= LONGEST_ROW:
                raise too_large(f"a row of more than {LONGEST_ROW:,} characters", f"at most {LONGEST_ROW:,} in a row")
            if _count_containers(part) > CONTAINERS:  # each takes more memory and time than its text
                found, expected = (
                    f"a row with more than {CONTAINERS:,} lists and objects",
                    "numbers, texts and booleans",
                )
                raise too_large(found, expected)
            size *= 2

    def _decode_more(self) -> bool:
        part = bytes(self.body[self.decoded : self.decoded + WINDOW])
        self.decoded += len(part)
        self.text = self.text[self.at :] + self.decoder.decode(part, not part)
        self.at = 0
        return bool(part)


class DuplicateName(ValueError):
    """An object has two members of one name, of which a reader would see either."""


def _read_object(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise DuplicateName(f"the name {name[:80]!r} twice in one object")
    return members


def _count_containers(text: str) -> int:
    """Return how many lists and objects begin in JSON text, outside of its strings."""
    text = text.replace("\\\\", "").replace('\\"', "")
    count = inside = 0
    for start in range(0, len(text), COUNTED):
        parts = text[start : start + COUNTED].split('"')
        count += sum(part.count("[") + part.count("{") for part in parts[inside::2])
        inside = (inside + len(parts) - 1) % 2
    return count


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number; send null for a missing value")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_read_object)
_decode_plain = json.JSONDecoder(parse_constant=_refuse_constant).decode
_decode_usual: Callable[[Body], list[JsonObject]] = msgspec.json.Decoder(list[dict[str, Any]]).decode  # type: ignore[assignment]
_decode, _scan = _decoder.decode, _decoder.scan_once  # type: ignore[attr-defined]


def _too_many(limit: int) -> BadRequest:
    return too_large(f"more than {limit:,} rows", f"at most {limit:,} rows in one request")


def bad_body(found: str, row: int | None = None, expected: str = EXPECTED_ROWS) -> BadRequest:
    """Return the error for a body that does not have the form of a request."""
    problem = RowProblem(row=row, column=None, found=found, expected=expected)
    return BadRequest(f"the body: found {found}, expected {expected}", [problem], 400)


def _name(first: str) -> str:
    """Return JSON's name for the type of the value that begins with a character."""
    if first in "-0123456789" and first:
        return "a number"
    if first not in NAMES:
        raise ValueError(f"expected a value, found {first!r}" if first else "it ends too early")
    return NAMES[first]


def _kind(value: Any) -> str:
    """Return JSON's name for the type of a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
