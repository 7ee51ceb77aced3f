"""Canonical JSON: the examples of RFC 8785, and the restrictions."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlnb.signing.canonical_json import canonical_json

NUMBERS = {
    0.0: "0",
    5e-324: "5e-324",
    -1.7976931348623157e308: "-1.7976931348623157e+308",
    9007199254740992.0: "9007199254740992",
    295147905179352830000.0: "295147905179352830000",
    1e21: "1e+21",
    9.999999999999997e22: "9.999999999999997e+22",
    1e-6: "0.000001",
    1e-7: "1e-7",
    333333333.3333333: "333333333.3333333",
    4.5: "4.5",
    2e-3: "0.002",
}


@pytest.mark.parametrize(("value", "text"), NUMBERS.items())
def test_numbers_are_those_of_ecmascript(value: float, text: str) -> None:
    assert canonical_json(value).decode() == text
    assert canonical_json(-value).decode() == ("0" if value == 0 else text[1:] if value < 0 else f"-{text}")


def test_keys_are_sorted_by_utf16_and_texts_are_escaped_as_little_as_possible() -> None:
    keys = {"\u20ac": "Euro", "\r": "CR", "\ufb33": "Hebrew", "1": "One", "\U0001f600": "Smile", "\u0080": "Control"}
    assert list(json.loads(canonical_json(keys))) == ["\r", "1", "\u0080", "\u20ac", "\U0001f600", "\ufb33"]
    assert canonical_json({"a": ['\u20ac$\x0f\nA\'B"\\\\"/', None, True, 1]}) == (
        '{"a":["\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/",null,true,1]}'.encode()
    )
    assert canonical_json([]) == b"[]" and canonical_json({}) == b"{}"


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53 + 1, {1: 2}, {"a": b""}, "\ud800", {"a": object()}])
def test_what_canonical_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"found|surrogates"):
        canonical_json(value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)  # fmt: skip


@settings(max_examples=40)
@given(JSON)
def test_the_bytes_are_the_same_value_and_do_not_depend_on_order(value: object) -> None:
    data = canonical_json(value)
    assert canonical_json(json.loads(data, parse_int=float)) == data
    if isinstance(value, dict):
        assert canonical_json(dict(reversed(value.items()))) == data
