"""Lines of the prediction log: one JSON object a line, whatever the size and the line feeds of a request."""

import json

from mlnb.serving.runtime.log_lines import PART, write_line

START = b'{"rows":'


def read(rows, responses, masked=()):
    """Return the object in a line, and the size of the largest part."""
    parts = write_line(START, rows, responses, masked)
    line = b"".join(parts)
    assert line.endswith(b"}\n") and line.count(b"\n") == 1
    return json.loads(line), max(map(len, parts))


def test_text_is_written_as_it_is_in_bounded_parts():
    rows = [{"note": "x" * 100, "number": number} for number in range(20_000)]
    text = b"\xef\xbb\xbf" + json.dumps(rows, indent=1).encode()
    value, size = read(bytearray(text), b"[\n1]")
    assert value == {"rows": rows, "responses": [1]} and len(text) > 2 * size and size <= PART


def test_rows_are_encoded_in_bounded_parts():
    rows = [{"note": "x" * 100, "number": number} for number in range(2_000)]
    value, size = read(rows, rows[:0])
    assert value == {"rows": rows, "responses": []} and size < len(json.dumps(rows)) / 3


def test_values_of_masked_columns_are_left_out():
    rows = [{"name": "Ann", "age": 1}, {"name": None, "age": 2}] * 400
    masked = [{"name": "masked", "age": 1}, {"name": None, "age": 2}] * 400
    for content in (rows, json.dumps(rows).encode()):
        assert read(content, b"[]", {"name"})[0]["rows"] == masked
    assert read(b"[]", b"[]", {"name"})[0]["rows"] == []
