"""The body of a successful response, written a slice of rows at a time: JSON text, an Arrow stream or Parquet."""

import json
from collections.abc import Sequence
from typing import Protocol

import msgspec

from mlnb.codec import Json
from mlnb.methods.contracts.responses import Explanation, ForecastResponse, Response, to_wire
from mlnb.methods.recommendation.recommenders import Recommendations
from mlnb.serving.runtime.table_decoder import DecodedTable

_encode_records = msgspec.json.Encoder().encode
_encode_values = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def to_values(responses: Sequence[Response], explanations: Sequence[Explanation] = ()) -> list[dict[str, Json]]:
    """Return responses as JSON objects, each with its explanation under "explanation" where there are any."""
    values = to_wire(responses)
    if explanations:
        for value, explanation in zip(values, explanations, strict=True):
            value["explanation"] = msgspec.to_builtins(explanation)
    return values


def encode_responses(responses: Sequence[Response], explanations: Sequence[Explanation] = ()) -> bytes:
    """Return responses as JSON text.

    Raises:
        ValueError: a number is infinite or NaN, for which JSON has no form.
    """
    if not explanations and not (responses and isinstance(responses[0], ForecastResponse)):
        body = _encode_records(responses)
        if b"null" not in body:  # what msgspec writes for NaN and infinity
            return body
    return _encode_values(to_values(responses, explanations)).encode()


def encode_recommendations(recommended: Sequence[Recommendations]) -> bytes:
    """Return recommendations as JSON text."""
    return _encode_records(recommended)


class ResponseWriter(Protocol):
    """Writes responses, a slice at a time."""

    def add(self, responses: Sequence[Response], explanations: Sequence[Explanation]) -> int:
        """Write responses; return the bytes that they take."""

    def finish(self) -> bytes:
        """Return the body."""


class JsonWriter:
    """Writes JSON lists, slice by slice, as one list."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def add(self, responses: Sequence[Response], explanations: Sequence[Explanation] = ()) -> int:
        """Write responses; return the bytes that they take."""
        return self.add_text(encode_responses(responses, explanations)) if responses else 0

    def add_text(self, text: bytes) -> int:
        """Write the elements of a list that is JSON text; return the bytes that they take."""
        self.parts.append(text[1:-1])
        return len(text)

    def finish(self) -> bytes:
        """Return the body."""
        return b"[%b]" % b",".join(self.parts)


class TableWriter:
    """Writes one column a field, probabilities and intervals as structs, in the format of the request's table."""

    def __init__(self, table: DecodedTable) -> None:
        self.table = table
        self.parts: list[bytes] = []

    def add(self, responses: Sequence[Response], explanations: Sequence[Explanation] = ()) -> int:
        """Write responses; return the bytes that they take."""
        self.parts.append(self.table.write(encode_responses(responses, explanations)))
        return len(self.parts[-1])

    def finish(self) -> bytes:
        """Return the body."""
        return b"".join([*self.parts, self.table.finish()])
