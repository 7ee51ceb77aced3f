"""The audit log: entries that name the one before them by its digest, so that none can change, go or move unseen."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from mlnb.engine.digests import digest_value
from mlnb.errors import RegistryError
from mlnb.registry.database import LOG

ORIGIN = "0" * 64  # what the first entry names as the one before it


@dataclass(frozen=True)
class Entry:
    """One change: what, of which version, by whom, when, why, and on which evidence.

    Attributes:
        number: from 1, without a gap.
        when: ISO 8601, UTC.
        what: registered, promoted, rolled back, approved or removed.
        alias: that was moved; empty where none was.
        before: version that the alias pointed to.
        previous: digest of the entry before, `ORIGIN` for the first.
    """

    number: int
    when: str
    who: str
    what: str
    model: str
    version: int
    alias: str
    before: int | None
    why: str
    evidence: dict[str, Any]
    previous: str

    @property
    def digest(self) -> str:
        """SHA-256 of everything above."""
        return digest_value(asdict(self))


def append(connection: sa.Connection, when: str, who: str, **change: Any) -> Entry:
    """Add an entry inside a writing transaction and return it."""
    last = connection.execute(sa.select(LOG.c.number, LOG.c.digest).order_by(LOG.c.number.desc()).limit(1)).first()
    number, previous = (last.number + 1, last.digest) if last else (1, ORIGIN)
    filled = {"alias": "", "before": None, "why": "", "evidence": {}} | change
    entry = Entry(number=number, when=when, who=who, previous=previous, **filled)
    text = json.dumps(asdict(entry), sort_keys=True, ensure_ascii=False)
    connection.execute(LOG.insert().values(number=number, entry=text, digest=entry.digest))
    return entry


def has_entries(connection: sa.Connection) -> bool:
    """Return whether the log has any entry."""
    return connection.execute(sa.select(LOG.c.number).limit(1)).first() is not None


def entries(connection: sa.Connection) -> list[tuple[int, str, str]]:
    """Return every line of the log as it lies there: number, entry as JSON, digest."""
    result = connection.execute(sa.select(LOG.c.number, LOG.c.entry, LOG.c.digest).order_by(LOG.c.number))
    return [(line.number, line.entry, line.digest) for line in result]


def read(lines: Iterable[tuple[int, str, str]]) -> list[Entry]:
    """Return the entries of lines. Raises `RegistryError` for one that cannot be read."""
    result = []
    for number, text, _ in lines:
        try:
            result.append(Entry(**json.loads(text)))
        except (ValueError, TypeError) as error:
            raise RegistryError(
                f"Entry {number} of the audit log cannot be read ({error}): somebody has altered it. "
                "`mlnb audit verify` says all that is wrong."
            ) from error
    return result


def verify(lines: Iterable[tuple[int, str, str]], head: str = "") -> list[str]:
    """Return every fault of a log, in words: altered, missing, moved, or not the log whose `head` was noted once."""
    faults, previous, expected, digests = [], ORIGIN, 1, {ORIGIN}
    for number, text, digest in lines:
        try:
            entry = Entry(**json.loads(text))
        except (ValueError, TypeError) as error:
            faults.append(f"entry {number} cannot be read: {error}")
            expected, previous = number + 1, digest
            continue
        if number != expected:
            gone = str(expected) if number == expected + 1 else f"{expected} to {number - 1}"
            faults.append(f"missing: entry {gone}")
        if entry.number != number:
            faults.append(f"moved: entry {number} was written as entry {entry.number}")
        if entry.digest != digest:
            faults.append(f"altered: entry {number} ({entry.what} {entry.model}:{entry.version}, {entry.when})")
        if entry.previous != previous and number == expected:
            faults.append(f"broken: entry {number} does not follow entry {number - 1} as that is now")
        expected, previous = number + 1, digest
        digests.add(digest)
    if head and head not in digests:
        faults.append(f"missing: no entry has the digest {head[:12]}…, which was once the head of this log")
    return faults


def replay(found: Iterable[Entry]) -> dict[str, Any]:
    """Return the state that the entries lead to: versions with the digest of their facts, aliases, approvals."""
    state: dict[str, Any] = {"versions": {}, "aliases": {}, "approvals": set()}
    steps: Mapping[str, Callable[[Entry], None]] = {
        "registered": lambda e: state["versions"].__setitem__((e.model, e.version), e.evidence.get("facts")),
        "approved": lambda e: state["approvals"].add((e.model, e.version, e.who)),
        "removed": lambda e: state["aliases"].pop((e.model, e.alias), None),
    }
    for entry in found:
        if entry.what in ("promoted", "rolled back"):
            state["aliases"][(entry.model, entry.alias)] = entry.version
        elif entry.what in steps:
            steps[entry.what](entry)
    return state
