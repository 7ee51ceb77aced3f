"""Typed records: JSON round trips, schema versions, and errors that name the file and the field."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.codec import Record, decode, encode, from_json, replace, to_json
from mlnb.errors import SchemaError


class Point(Record, frozen=True, kw_only=True):
    x: float
    tags: tuple[str, ...] = ()


class Drawing(Record, frozen=True, kw_only=True):
    SCHEMA: ClassVar[str] = "drawing"
    VERSION: ClassVar[int] = 2
    MIGRATIONS: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {
        1: lambda fields: {"points": fields["dots"]}
    }

    points: tuple[Point, ...]


points = st.builds(
    Point, x=st.floats(allow_nan=False, allow_infinity=False), tags=st.lists(st.text(max_size=5), max_size=3).map(tuple)
)


@given(st.lists(points, max_size=4).map(lambda items: Drawing(points=tuple(items))))
def test_records_round_trip_and_equal_records_have_equal_bytes(drawing: Drawing) -> None:
    assert decode(Drawing, encode(drawing)) == drawing
    assert encode(decode(Drawing, encode(drawing))) == encode(drawing)


def test_a_file_names_its_schema_and_version_and_a_part_does_not() -> None:
    assert to_json(Drawing(points=()))["schema"] == "drawing/2"
    assert to_json(Point(x=1.0)).keys() == {"x", "tags"}


def test_an_older_version_is_migrated() -> None:
    older = {"schema": "drawing/1", "dots": [{"x": 1.0}]}
    assert from_json(Drawing, older) == Drawing(points=(Point(x=1.0),))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"points": []}, "found no schema in a.json, expected drawing version 2"),
        ({"schema": "table/1", "points": []}, "found table 1 in a.json"),
        ({"schema": "drawing/3", "points": []}, "install a newer mlnb"),
        ({"schema": "drawing/0", "points": []}, "make it again with `mlnb run`"),
        ({"schema": "drawing/2", "points": [{"x": "far"}]}, r"a.json is not as expected: .*points\[0\]\.x"),
        ({"schema": "drawing/2", "points": [], "color": 1}, "color"),
        ([], "found list in a.json, expected an object of drawing"),
    ],
)
def test_other_values_are_refused_by_name(values: object, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        from_json(Drawing, values, "a.json")


def test_bytes_that_are_no_json_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"a\.json is damaged"):
        decode(Drawing, b"{", "a.json")


def test_replace_copies_and_refuses_unknown_fields() -> None:
    point = Point(x=1.0)
    assert replace(point, x=2.0) == Point(x=2.0) and point.x == 1.0
    with pytest.raises(TypeError):
        replace(point, y=2.0)
