"""The database of labels: events that are only appended; of a position in a request, the last one counts.

Each event has the digest of its fields and of the event before, so that a later change or deletion is found.
"""

import json
import math
import re
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from mlnb.codec import Record
from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, make_folder
from mlnb.methods.operations.label_matching import LabelPosition

WHOLE = re.compile(r"-?\d+\.0+")  # a class that a spreadsheet saved as a number
ORIGIN = "0" * 64  # digest that the first event has as that of the one before
EVENTS = "label_events"
TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {EVENTS} (
    number INTEGER PRIMARY KEY, request TEXT NOT NULL, row NOT NULL, label TEXT NOT NULL, arrived REAL NOT NULL,
    origin TEXT NOT NULL, digest TEXT NOT NULL
)""",
    f"CREATE INDEX IF NOT EXISTS label_positions ON {EVENTS} (request, row, number)",
    *(
        f"""CREATE TRIGGER IF NOT EXISTS {EVENTS}_{verb} BEFORE {verb} ON {EVENTS}
BEGIN SELECT RAISE(ABORT, 'labels are append-only; mlnb labels add FILE --replace adds a correction'); END"""
        for verb in ("UPDATE", "DELETE")
    ),
)
_EARLIER = {  # tables of an earlier version: labels that were replaced, and those that counted
    "changed": "SELECT request, row, before, at, 'before a correction, ' || origin FROM changed ORDER BY at",
    "labels": "SELECT request, row, label, arrived, origin FROM labels ORDER BY arrived, request, row",
}


class LabelEvent(NamedTuple):
    """A label that has arrived, or the correction of one.

    Attributes:
        number: from 1, without a gap.
        request: id of the request; empty for the step of a series.
        row: position in the request.
        label: as text.
        arrived: seconds since 1970.
        origin: where it comes from.
        digest: SHA-256 of everything above and of the digest of the event before.
    """

    number: int
    request: str
    row: LabelPosition
    label: str
    arrived: float
    origin: str
    digest: str

    def expected_digest(self, previous: str) -> str:
        """Return the digest that it has when `previous` is the digest of the event before."""
        return digest_bytes(json.dumps([*self[:-1], previous]).encode())


class LabelHead(Record, frozen=True, kw_only=True):
    """The last event of a database: its number, and its digest, which covers all events up to it."""

    number: int = 0
    digest: str = ORIGIN


@dataclass
class Added:
    """The result of adding labels.

    Attributes:
        new: number that were added.
        unchanged: number that exist already with the same value.
        changed: number that correct another value, by `replace`.
        conflicts: request, position, existing label and label that was refused.
        empty: number without a value.
        unknown: requests that are not in the prediction log; their labels are added all the same.
        beyond: requests and row numbers from the number of the request's rows on; their labels are added all the same.
        new_classes: number of labels by class that the model does not know; they are added all the same.
    """

    new: int = 0
    unchanged: int = 0
    changed: int = 0
    conflicts: list[tuple[str, LabelPosition, str, str]] = field(default_factory=list)
    empty: int = 0
    unknown: list[str] = field(default_factory=list)
    beyond: list[tuple[str, LabelPosition]] = field(default_factory=list)
    new_classes: dict[str, int] = field(default_factory=dict)


def add_labels(
    database: Path,
    labels: Iterable[tuple[str, LabelPosition, Any]],
    at: float,
    origin: str = "",
    replace: bool = False,
    requests: Mapping[str, int] | None = None,
    classes: Collection[str] | None = None,
) -> Added:
    """Add labels in one transaction: all of them, or after a failure none; the same labels again change nothing.

    Args:
        database: file of the database; it is created when missing.
        labels: request, position and label; a label of None is not known yet.
        at: when they arrived, in seconds since 1970.
        origin: where they come from, such as the file's name.
        replace: whether a label that differs corrects the existing one.
        requests: number of rows of each request in the prediction log; None: not checked.
        classes: of the model; None: not checked, as labels are numbers.
    """
    added = Added()
    expected = None if classes is None else set(map(as_text, classes))
    unknown: dict[str, None] = {}
    make_folder(database.parent)
    if not database.exists():
        database.touch(PRIVATE)
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            head = _open_events(connection)
            for request, row, value in labels:
                if value is None:
                    added.empty += 1
                    continue
                label = as_text(value)
                if expected is not None and label not in expected:
                    added.new_classes[label] = added.new_classes.get(label, 0) + 1
                if requests is not None and request and request not in requests:
                    unknown[request] = None
                elif requests is not None and isinstance(row, int) and row >= requests.get(request, math.inf):
                    added.beyond.append((request, row))
                existing = _last_label(connection, request, row)
                if existing == label:
                    added.unchanged += 1
                    continue
                if existing is not None and not replace:
                    added.conflicts.append((request, row, existing, label))
                    continue
                head = _append(connection, head, (request, row, label, at, origin))
                if existing is None:
                    added.new += 1
                else:
                    added.changed += 1
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    added.unknown = list(unknown)
    return added


def read_labels(database: Path) -> dict[tuple[str, LabelPosition], tuple[str, float]]:
    """Return label and time of arrival (seconds since 1970) by request and position; empty without a database."""
    if not database.exists():
        return {}
    with closing(_open_read_only(database)) as connection:
        table = next((name for name in (EVENTS, "labels") if has_table(connection, name)), None)
        if table is None:
            return {}  # the first labels were refused
        order = "ORDER BY number" if table == EVENTS else ""
        lines = connection.execute(f"SELECT request, row, label, arrived FROM {table} {order}").fetchall()
    return {(request, row): (label, arrived) for request, row, label, arrived in lines}


def read_events(database: Path) -> list[LabelEvent]:
    """Return every event, in the order of their numbers; none without a database, or of an earlier version.

    Raises:
        sqlite3.DatabaseError: the file is damaged, or no database.
    """
    if not database.exists():
        return []
    with closing(_open_read_only(database)) as connection:
        if not has_table(connection, EVENTS):
            return []
        return [LabelEvent(*line) for line in connection.execute(f"SELECT * FROM {EVENTS} ORDER BY number")]


def read_head(database: Path) -> LabelHead:
    """Return the last event of a database; an empty head without one."""
    if not database.exists():
        return LabelHead()
    with closing(_open_read_only(database)) as connection:
        return _head(connection) if has_table(connection, EVENTS) else LabelHead()


def _open_read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=30)


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a database has a table."""
    line = connection.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (name,))
    return line.fetchone() is not None


def _open_events(connection: sqlite3.Connection) -> LabelHead:
    """Create the table of events where there is none, with the labels of an earlier version; return the last event."""
    for statement in TABLES:
        connection.execute(statement)
    head = _head(connection)
    if has_table(connection, "labels"):
        for query in _EARLIER.values():
            for line in connection.execute(query).fetchall():
                head = _append(connection, head, line)
        for table in _EARLIER:
            connection.execute(f"DROP TABLE {table}")
    return head


def _head(connection: sqlite3.Connection) -> LabelHead:
    line = connection.execute(f"SELECT number, digest FROM {EVENTS} ORDER BY number DESC LIMIT 1").fetchone()
    return LabelHead(number=line[0], digest=line[1]) if line else LabelHead()


def _append(
    connection: sqlite3.Connection, head: LabelHead, fields: tuple[str, LabelPosition, str, float, str]
) -> LabelHead:
    """Append an event after the last one; return it as the last one."""
    request, row, label, arrived, origin = fields
    event = LabelEvent(head.number + 1, request, row, label, float(arrived), origin, "")
    digest = event.expected_digest(head.digest)
    connection.execute(f"INSERT INTO {EVENTS} VALUES (?, ?, ?, ?, ?, ?, ?)", (*event[:-1], digest))
    return LabelHead(number=event.number, digest=digest)


def _last_label(connection: sqlite3.Connection, request: str, row: LabelPosition) -> str | None:
    query = f"SELECT label FROM {EVENTS} WHERE request=? AND row=? ORDER BY number DESC LIMIT 1"
    line = connection.execute(query, (request, row)).fetchone()
    return line[0] if line else None


def as_text(value: Any) -> str:
    """Return a label as class names are written: integers without a decimal point, true and false in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.partition(".")[0] if WHOLE.fullmatch(text) else text
