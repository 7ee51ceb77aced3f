"""Canonical JSON after RFC 8785 (JSON Canonicalization Scheme): equal values have the same bytes in any language."""

import json
import math
from decimal import Decimal
from typing import Any

LARGEST = 2**53  # integers beyond it are not exact in the JSON numbers of other languages
ENCODER = json.JSONEncoder(ensure_ascii=False)


def canonical_json(value: Any) -> bytes:
    """Return a JSON value as UTF-8 without spaces, keys in the order of UTF-16, numbers as ECMAScript prints them.

    Args:
        value: None, booleans, numbers, texts, and lists, tuples and dictionaries of them.

    Raises:
        ValueError: A number that is not finite or an integer beyond 2^53, a key that is no text, a text that UTF-8
            cannot encode, or a value that JSON does not have.
    """
    return "".join(_parts(value)).encode()


def _parts(value: Any) -> list[str]:
    if value is None or isinstance(value, bool | str):
        return [ENCODER.encode(value)]
    if isinstance(value, int):
        if abs(value) > LARGEST:
            raise ValueError(f"found the integer {value}, expected at most 2^53; write it as text")
        return [str(value)]
    if isinstance(value, float):
        return [_number(value)]
    if isinstance(value, list | tuple):
        items = [part for item in value for part in [",", *_parts(item)]]
        return ["[", *items[1:], "]"]
    if isinstance(value, dict):
        if wrong := [key for key in value if not isinstance(key, str)]:
            raise ValueError(f"found the key {wrong[0]!r}, expected a text")
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        members = [part for key in keys for part in [",", *_parts(key), ":", *_parts(value[key])]]
        return ["{", *members[1:], "}"]
    raise ValueError(f"found {type(value).__name__}, expected a JSON value")


def _number(value: float) -> str:
    """Return a float as ECMAScript's Number::toString does: the shortest digits that give the same float."""
    if not math.isfinite(value):
        raise ValueError(f"found {value}, expected a finite number; write it as text")
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)  # number of digits before the decimal point
    if len(text) <= point <= 21:
        body = text + "0" * (point - len(text))
    elif 0 < point <= 21:
        body = f"{text[:point]}.{text[point:]}"
    elif -6 < point <= 0:
        body = f"0.{'0' * -point}{text}"
    else:
        fraction = f".{text[1:]}" if len(text) > 1 else ""
        body = f"{text[0]}{fraction}e{point - 1:+d}"
    return "-" * sign + body
