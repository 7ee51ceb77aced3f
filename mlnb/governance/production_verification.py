"""Verification of prediction logs and labels against their own digests and the heads in the audit log."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mlnb.engine.confined_names import is_confined, is_plain_name
from mlnb.engine.project import Project
from mlnb.governance.checks import Check, CheckState, altered, missing, ok
from mlnb.governance.stored_objects import check_file
from mlnb.monitoring.labels import ORIGIN as FIRST_LABEL
from mlnb.monitoring.labels import LabelEvent, read_events
from mlnb.monitoring.production_heads import is_own, read_chain
from mlnb.registry.audit_log import Entry, HeadLink
from mlnb.serving.runtime.log_segments import CHAIN, ORIGIN


class RecordedHead(NamedTuple):
    """A head, and the number of the entry of the audit log that has it."""

    entry: int
    size: int  # number of entries or events up to it
    digest: str


def verify_production(project: Project, entries: Iterable[Entry], strict: bool) -> Iterator[Check]:
    """Yield the results for the finished segments of prediction logs, and for the events of labels.

    Args:
        project: The project.
        entries: The audit log; none when it cannot be read.
        strict: Whether a segment that no chain names is a failure.
    """
    root = project.store_root
    heads: dict[Path, list[RecordedHead]] = {}
    for entry in entries:
        for head in entry.evidence.production:
            if is_confined(head.file) and is_own(project, head):
                heads.setdefault(root / head.file, []).append(RecordedHead(entry.number, head.count, head.digest))
        for link in entry.evidence.erasure.links if entry.evidence.erasure else ():
            if is_confined(link.after.file) and is_own(project, link.after):
                _follow(heads.setdefault(root / link.after.file, []), link, entry.number)
    chains = {*(root / "predictions").glob(f"*/*{CHAIN}"), *(path for path in heads if path.suffix == CHAIN)}
    named: set[Path] = set()
    for path in sorted(chains):
        yield from _check_chain(project, path, heads.get(path, []), named)
    for path in sorted({*(root / "predictions").glob("*/*.parquet")} - named):
        detail = "in no chain, as segments of earlier versions"
        yield Check(_where(project, path), CheckState.UNSIGNED, detail, passed=not strict)
    for path in sorted({*(root / "labels").glob("*.db"), *(path for path in heads if path.suffix == ".db")}):
        yield from _check_labels(project, path, heads.get(path, []), strict)


def _follow(heads: list[RecordedHead], link: HeadLink, entry: int) -> None:
    """Replace the heads of what was written again by the new one; those that it does not cover stay, and are faults."""
    before = link.before
    covered = [head for head in heads if head.size < before.count or head[1:] == (before.count, before.digest)]
    heads[:] = [head for head in heads if head not in covered]
    if link.after.count:
        heads.append(RecordedHead(entry, link.after.count, link.after.digest))


def _check_chain(project: Project, path: Path, heads: Sequence[RecordedHead], named: set[Path]) -> Iterator[Check]:
    """Yield a result for each segment that is not as its chain has it, and one for the chain; add to `named`."""
    where = _where(project, path)
    try:
        entries = read_chain(path)
    except FileNotFoundError:
        yield missing(where, f"entry {heads[-1].entry} of the audit log has its head")
        return
    except ValueError as error:
        yield altered(where, str(error))
        return
    previous, faults = ORIGIN, []
    for number, entry in enumerate(entries, start=1):
        if entry.previous != previous:
            faults.append(altered(where, f"entry {number} does not follow the entry before"))
        previous = entry.own_digest
        segment = path.with_name(entry.segment) if is_plain_name(entry.segment) else None
        if segment is None or segment in named:
            faults.append(altered(where, f"entry {number} names {entry.segment[:80]!r}, as an entry before does"))
            continue
        named.add(segment)
        check = check_file(project, _where(project, segment), entry.digest)
        faults += [] if check.passed else [check]
    faults += _head_faults(where, [entry.own_digest for entry in entries], heads)
    yield from faults
    if not faults:
        yield ok(where, f"finished segments: {len(entries)}, rows: {sum(entry.rows for entry in entries)}")


def _check_labels(project: Project, path: Path, heads: Sequence[RecordedHead], strict: bool) -> Iterator[Check]:
    """Yield a result for each event that is not as it was appended, and one for the database."""
    where = _where(project, path)
    if not path.exists():
        yield missing(where, f"entry {heads[-1].entry} of the audit log has its head")
        return
    try:
        events = read_events(path)
    except (sqlite3.DatabaseError, TypeError) as error:
        yield altered(where, f"it cannot be read: {error}")
        return
    if not events and not heads:
        detail = "no events: it is empty, or of an earlier version"
        yield Check(where, CheckState.UNSIGNED, detail, passed=not strict)
        return
    faults = [*_event_faults(where, events), *_head_faults(where, [event.digest for event in events], heads)]
    yield from faults
    if not faults:
        yield ok(where, f"events: {len(events)}")


def _event_faults(where: str, events: Sequence[LabelEvent]) -> Iterator[Check]:
    """Yield a fault for each event with another digest, and for the first that is missing."""
    previous = FIRST_LABEL
    for number, event in enumerate(events, start=1):
        if event.number != number:
            yield missing(f"{where}, event {number}")
            return
        if event.digest != event.expected_digest(previous):
            yield altered(f"{where}, event {number}", f"request {event.request!r}, row {event.row!r}")
        previous = event.digest


def _head_faults(where: str, digests: Sequence[str], heads: Iterable[RecordedHead]) -> list[Check]:
    """Return a fault for each head of the audit log that is not among the digests."""
    return [
        altered(where, f"entry {head.entry} of the audit log has another head: it was cut off, or written again")
        for head in heads
        if head.size > len(digests) or digests[head.size - 1] != head.digest
    ]


def _where(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix()
