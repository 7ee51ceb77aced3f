"""Typed records and their JSON: one codec for every file and artifact with structure.

A `Record` is a frozen msgspec Struct. One that is a whole file names its schema and version, which are written into
the JSON under "schema"; reading another version migrates it, or raises `SchemaError` that names the file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from mlnb.errors import SchemaError

HEADER = "schema"  # key of the JSON object that holds "<name>/<version>"

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]  # any JSON value, to read
JsonObject = Mapping[str, Json]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all typed records: immutable, keyword-only, unknown fields are an error.

    A record that is a whole file sets `SCHEMA` (its name) and `VERSION`; `MIGRATIONS` maps an older version to a
    function that takes the JSON object of that version and returns the one of the next.
    """

    SCHEMA: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    MIGRATIONS: ClassVar[Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]] = {}


R = TypeVar("R", bound=Record)
T = TypeVar("T")


def replace(record: T, /, **changes: Any) -> T:
    """Return a copy of a record or dataclass with some fields changed. Raises `TypeError` for an unknown field."""
    if isinstance(record, msgspec.Struct):
        return msgspec.structs.replace(record, **changes)
    import dataclasses  # here, as `mlnb run` with nothing to do needs none

    return dataclasses.replace(record, **changes)  # type: ignore[type-var]


def to_json(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values; that of a whole file starts with its schema and version."""
    values = msgspec.to_builtins(record, str_keys=True)
    if record.SCHEMA:
        return {HEADER: f"{record.SCHEMA}/{record.VERSION}", **values}
    return dict(values)


def encode(record: Record) -> bytes:
    """Return the bytes of a record's file: JSON with sorted keys, the same bytes for equal records."""
    return msgspec.json.format(msgspec.json.encode(to_json(record), order="sorted"), indent=1) + b"\n"


def from_json(cls: type[R], values: object, where: str = "the data") -> R:
    """Return the record that `to_json` wrote.

    Args:
        cls: the record's class.
        values: plain JSON values, as read from a file.
        where: what is read, for the message: a file's path or an artifact's name.

    Raises:
        SchemaError: another schema, a version that cannot be migrated, or a field that is missing, unknown
            or of the wrong type; the message names `where` and the field.
    """
    if cls.SCHEMA:
        values = _migrate(cls, values, where)
    return convert(values, cls, where)


def decode(cls: type[R], data: bytes, where: str = "the data") -> R:
    """Return the record that `encode` wrote. Raises `SchemaError` as `from_json`, also for bytes that are no JSON."""
    try:
        values = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SchemaError(f"{where} is damaged: {error}; expected JSON.") from None
    return from_json(cls, values, where)


def convert(values: object, kind: type[T], where: str = "the data") -> T:
    """Return plain JSON values as `kind`, any type that msgspec knows. Raises `SchemaError` naming field and types."""
    try:
        return msgspec.convert(values, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise SchemaError(f"{where} is not as expected: {error}.") from None


def _migrate(cls: type[Record], values: object, where: str) -> object:
    """Return the JSON object without its header, brought to the class's version."""
    if not isinstance(values, Mapping):
        raise SchemaError(f"found {type(values).__name__} in {where}, expected an object of {cls.SCHEMA}.")
    fields = dict(values)
    name, _, number = str(fields.pop(HEADER, "")).partition("/")
    expected = f"expected {cls.SCHEMA} version {cls.VERSION}"
    if name != cls.SCHEMA or not number.isdigit():
        raise SchemaError(f"found {f'{name} {number}'.strip() or 'no schema'} in {where}, {expected}.")
    version = int(number)
    while version != cls.VERSION:
        if version not in cls.MIGRATIONS:
            newer = "install a newer mlnb" if version > cls.VERSION else "make it again with `mlnb run`"
            raise SchemaError(f"found {cls.SCHEMA} version {number} in {where}, {expected}; {newer}.")
        fields = cls.MIGRATIONS[version](fields)
        version += 1
    return fields
