"""The database of labels: each belongs to a position in a request; adding it again changes nothing."""

import re
import sqlite3
from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlnb.engine.files import PRIVATE, make_folder
from mlnb.methods.operations.label_matching import LabelPosition

WHOLE = re.compile(r"-?\d+\.0+")  # a class that a spreadsheet saved as a number
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
    """The result of adding labels.

    Attributes:
        new: number that were added.
        unchanged: number that exist already with the same value.
        changed: number that replaced another value, by `replace`.
        conflicts: request, position, existing label and label that was refused.
        empty: number without a value.
        unknown: requests that are not in the prediction log; their labels are added all the same.
        new_classes: number of labels by class that the model does not know; they are added all the same.
    """

    new: int = 0
    unchanged: int = 0
    changed: int = 0
    conflicts: list[tuple[str, LabelPosition, str, str]] = field(default_factory=list)
    empty: int = 0
    unknown: list[str] = field(default_factory=list)
    new_classes: dict[str, int] = field(default_factory=dict)


def add_labels(
    database: Path,
    labels: Iterable[tuple[str, LabelPosition, Any]],
    at: float,
    origin: str = "",
    replace: bool = False,
    requests: set[str] | None = None,
    classes: Collection[str] | None = None,
) -> Added:
    """Add labels in one transaction: all of them, or after a failure none; the same labels again change nothing.

    Args:
        database: file of the database; it is created when missing.
        labels: request, position and label; a label of None is not known yet.
        at: when they arrived, in seconds since 1970.
        origin: where they come from, such as the file's name.
        replace: whether a label that differs replaces the existing one.
        requests: those of the prediction log; None: not checked.
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
            connection.execute(_TABLE)
            connection.execute(_HISTORY)
            for request, row, value in labels:
                if value is None:
                    added.empty += 1
                    continue
                label = as_text(value)
                if expected is not None and label not in expected:
                    added.new_classes[label] = added.new_classes.get(label, 0) + 1
                if requests is not None and request and request not in requests:
                    unknown[request] = None
                result = connection.execute(
                    "SELECT label FROM labels WHERE request=? AND row=?", (request, row)
                ).fetchone()
                if result is None:
                    connection.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", (request, row, label, at, origin))
                    added.new += 1
                elif result[0] == label:
                    added.unchanged += 1
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


def read_labels(database: Path) -> dict[tuple[str, LabelPosition], tuple[str, float]]:
    """Return label and time of arrival (seconds since 1970) by request and position; empty without a database."""
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name='labels'").fetchone() is None:
            return {}  # the first labels were refused
        lines = connection.execute("SELECT request, row, label, arrived FROM labels").fetchall()
    return {(request, row): (label, arrived) for request, row, label, arrived in lines}


def as_text(value: Any) -> str:
    """Return a label as class names are written: integers without a decimal point, true and false in lower case."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text.partition(".")[0] if WHOLE.fullmatch(text) else text
