"""The body of a successful response: JSON text, or the values that a table is made of."""

import json
from collections.abc import Sequence

import msgspec

from mlnb.codec import Json
from mlnb.methods.contracts.responses import Explanation, ForecastResponse, Response, to_wire

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
