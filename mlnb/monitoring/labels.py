"""Labels that arrive late: each belongs to a request and a row, and none is taken twice or lost."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlnb.engine.files import PRIVATE, make_folder
from mlnb.errors import UsageError

WHOLE = re.compile(r"-?\d+\.0+")  # a class that a spreadsheet wrote as a number
Place = int | str  # where in its request a label belongs: the number of the row, or a text of `joining`
_TABLE = """CREATE TABLE IF NOT EXISTS labels (
    request TEXT NOT NULL, row NOT NULL, label TEXT NOT NULL, arrived REAL NOT NULL, origin TEXT NOT NULL,
    PRIMARY KEY (request, row)
) WITHOUT ROWID"""
_HISTORY = """CREATE TABLE IF NOT EXISTS changed (
    request TEXT NOT NULL, row NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, at REAL NOT NULL,
    origin TEXT NOT NULL
)"""


@dataclass
class Added:
    """What became of the labels of a file.

    Attributes:
        known: that were there already, with the same value.
        changed: that replaced another value, by `replace`
        conflicts: request, place, kept, refused.
        empty: without a value.
        unknown: requests that are not in the prediction log; kept all the same.
    """

    new: int = 0
    known: int = 0
    changed: int = 0
    conflicts: list[tuple[str, Place, str, str]] = field(default_factory=list)
    empty: int = 0
    unknown: list[str] = field(default_factory=list)


def add_labels(
    database: Path,
    labels: Iterable[tuple[str, Place, Any]],
    at: float,
    origin: str = "",
    replace: bool = False,
    requests: set[str] | None = None,
) -> Added:
    """Add labels in one transaction: all of them, or after a failure none; the same labels again change nothing.

    Args:
        labels: request, place, label; None: not known yet.
        at: seconds since 1970.
        origin: where they came from, such as the file's name.
        replace: whether a label that differs replaces the one that is there.
        requests: those of the prediction log.
    """
    added = Added()
    unknown: dict[str, None] = {}
    make_folder(database.parent)
    if not database.exists():
        database.touch(PRIVATE)
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(_TABLE)
            connection.execute(_HISTORY)
            for request, row, value in labels:
                if value is None:
                    added.empty += 1
                    continue
                label = as_text(value)
                if requests is not None and request and request not in requests:
                    unknown[request] = None
                result = connection.execute(
                    "SELECT label FROM labels WHERE request=? AND row=?", (request, row)
                ).fetchone()
                if result is None:
                    connection.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", (request, row, label, at, origin))
                    added.new += 1
                elif result[0] == label:
                    added.known += 1
                elif replace:
                    change = (request, row, result[0], label, at, origin)
                    connection.execute("INSERT INTO changed VALUES (?, ?, ?, ?, ?, ?)", change)
                    connection.execute(
                        "UPDATE labels SET label=?, arrived=?, origin=? WHERE request=? AND row=?",
                        (label, at, origin, request, row),
                    )
                    added.changed += 1
                else:
                    added.conflicts.append((request, row, result[0], label))
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    added.unknown = list(unknown)
    return added


def read_labels(database: Path) -> dict[tuple[str, Place], tuple[str, float]]:
    """Return {(request, place): (label as text, when it arrived)}."""
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        lines = connection.execute("SELECT request, row, label, arrived FROM labels").fetchall()
    return {(request, row): (label, arrived) for request, row, label, arrived in lines}


def as_text(value: Any) -> str:
    """Return a label as class names are written: whole numbers without a point, true and false in small letters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.partition(".")[0] if WHOLE.fullmatch(text) else text


def pick(rows: Iterable[dict[str, Any]], request: str, label: str, row: str) -> Iterable[tuple[str, int, Any]]:
    """Yield (request, row, label) of a table's rows.

    Raises:
        UsageError: when a column is not there or a row is no number.
    """
    for number, record in enumerate(rows):
        for column in (request, label):
            if column not in record:
                raise UsageError(
                    f"The file has no column {column!r}; it has {', '.join(map(str, record))}. "
                    "Say which it is: --request NAME, --label NAME."
                )
        index = record.get(row, 0)
        try:
            position = int(index)
        except (TypeError, ValueError):
            raise UsageError(f"Line {number + 1}: found {index!r} as number of the row, expected 0 or more.") from None
        value = record[label]
        yield str(record[request]), position, None if value is None or value != value or value == "" else value
