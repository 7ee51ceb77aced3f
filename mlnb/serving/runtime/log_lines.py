"""Lines of the prediction log, in parts: no call takes longer than a few milliseconds, however large a request was."""

import json
from collections.abc import Collection, Iterator, Sequence

from mlnb.codec import JsonObject
from mlnb.methods.contracts.responses import MASKED
from mlnb.serving.runtime.json_rows import read_slices
from mlnb.serving.runtime.request_bodies import Body

PART = 2**20  # bytes of a text that are copied at a time
ROWS = 512  # rows encoded at a time
MARK = b"\xef\xbb\xbf"  # byte order mark that a body may begin with

Content = Sequence[JsonObject] | Body  # rows or responses, or JSON text of them

encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
quote = json.encoder.encode_basestring_ascii


def write_line(start: bytes, rows: Content, responses: Content, masked: Collection[str] = ()) -> list[bytes]:
    """Return the parts of a line.

    Args:
        start: of the line, up to the rows.
        rows: as the client sent them.
        responses: as the client received them.
        masked: columns whose values are left out.
    """
    plain = isinstance(rows, bytes | bytearray) and not masked
    return [
        start,
        *(_copy(rows) if plain else _encode(_masked(rows, masked))),  # type: ignore[arg-type]
        b',"responses":',
        *(_copy(responses) if isinstance(responses, bytes | bytearray) else _encode(_slices(responses))),
        b"}\n",
    ]


def _copy(text: Body) -> Iterator[bytes]:
    """Yield JSON text without line feeds, which JSON has between its tokens only, where a space means the same."""
    first = len(MARK) if text.startswith(MARK) else 0
    for at in range(first, len(text), PART):
        yield bytes(text[at : at + PART]).replace(b"\n", b" ")


def _encode(slices: Iterator[Sequence[JsonObject]]) -> Iterator[bytes]:
    between = b"["
    for rows in slices:
        if rows:
            yield between
            yield encode(rows)[1:-1].encode()
            between = b","
    yield b"]" if between == b"," else b"[]"


def _slices(values: Sequence[JsonObject]) -> Iterator[Sequence[JsonObject]]:
    for first in range(0, len(values), ROWS):
        yield values[first : first + ROWS]


def _masked(rows: Content, masked: Collection[str]) -> Iterator[Sequence[JsonObject]]:
    for part in read_slices(rows, len(rows)) if isinstance(rows, bytes | bytearray) else _slices(rows):
        if masked:
            yield [
                {name: MASKED if name in masked and value is not None else value for name, value in row.items()}
                for row in part
            ]
        else:
            yield part
