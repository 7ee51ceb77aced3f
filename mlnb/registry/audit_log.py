"""The audit log: each entry has the digest of the one before, so that every change, deletion or move is found."""

import json
from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import sqlalchemy as sa
from msgspec import field

from mlnb.codec import Record, convert, replace, to_json
from mlnb.engine.digests import digest_value
from mlnb.errors import RegistryError
from mlnb.methods.contracts.evaluations import DecidingMetric
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.registry.database import LOG, reading
from mlnb.registry.entry_signatures import sign_entry
from mlnb.signing.signing_keys import find_key

ORIGIN = "0" * 64  # digest that the first entry has as that of the one before


class LoggedAccess(Record, frozen=True, kw_only=True):
    """An access to a held-out artifact: the digest of the artifact, and the run that loaded it."""

    digest: str
    run: str


class ProductionHead(Record, frozen=True, kw_only=True):
    """The last entry of a chain of the prediction log, or the last event of the labels; it covers all before it.

    Args:
        file: path in the store.
        count: number of entries or events up to it.
        digest: its digest.
        store: identity of the store, as projects that share a registry have a separate log.
    """

    file: str
    count: int
    digest: str
    store: str


class HeadLink(Record, frozen=True, kw_only=True):
    """A chain of the prediction log or the labels that was written again: its head before and after.

    Args:
        before: the head that it had; heads that were recorded earlier are of the chain up to it.
        after: the head that it has now.
    """

    before: ProductionHead
    after: ProductionHead


class ErasureEvidence(Record, frozen=True, kw_only=True):
    """An erasure of rows, or a deletion by a retention setting.

    Args:
        id: name of its record in the store, which lists objects and files.
        digest: SHA-256 of that record.
        store: identity of the store.
        links: chains and labels that were written again.
        retrain: versions that were trained on the rows, or that can no longer be served.
    """

    id: str
    digest: str
    store: str
    links: tuple[HeadLink, ...] = ()
    retrain: tuple[str, ...] = ()


class Evidence(Record, omit_defaults=True, frozen=True, kw_only=True):
    """What a change was based on; fields that do not apply are left out.

    Args:
        run: id of the run that made the version.
        service: digest of what the bento is built from.
        metadata: digest of the version's metadata.
        gate: whether its gate passed.
        bento: tag of its bento.
        deciding: the deciding metric on the held-out test set.
        approved_by: people who approved it.
        forced_past: reasons against the promotion that --force has overridden.
        from_version: version that the alias pointed to before a rollback.
        reuse: how many test rows other evaluations had loaded before.
        accesses: the accesses to held-out artifacts on which the version's evaluation is based.
        manifest: digest of the statement in the manifest of its run.
        production: heads of prediction log and labels that were new when the version was monitored.
        documents: digest of each document that an approval is about, by the name of its artifact.
        authors: ids of the keys that have signed the manifest of the run.
        database_user: user who was logged in to the database server; empty for a registry in a file.
        erasure: what was erased.
        hold: entry that has placed the hold which was removed.
    """

    run: str = ""
    service: str = ""
    metadata: str = ""
    gate: bool | None = None
    bento: str = ""
    deciding: DecidingMetric | None = None
    approved_by: tuple[str, ...] = ()
    forced_past: tuple[str, ...] = ()
    from_version: str = ""
    reuse: HoldoutReuse | None = None
    accesses: tuple[LoggedAccess, ...] = ()
    manifest: str = ""
    production: tuple[ProductionHead, ...] = ()
    documents: dict[str, str] = field(default_factory=dict)
    authors: tuple[str, ...] = ()
    database_user: str = ""
    erasure: ErasureEvidence | None = None
    hold: int | None = None


NO_EVIDENCE = Evidence()


class Entry(Record, frozen=True, kw_only=True):
    """One change: what, of which version, by whom, when, why, and on which evidence.

    Args:
        number: from 1, without a gap.
        when: ISO 8601, UTC.
        who: the person or CI job.
        what: registered, promoted, rolled back, approved, removed, monitored, erased, expired, held or released.
        model, version: the version that it concerns; empty and 0 where it concerns the project.
        alias: that was moved; empty where none was.
        before: version that the alias pointed to.
        why: the reason that was stated.
        evidence: what the change was based on.
        previous: digest of the entry before, `ORIGIN` for the first.
    """

    number: int
    when: str
    who: str
    what: str
    model: str
    version: int
    alias: str = ""
    before: int | None = None
    why: str = ""
    evidence: Evidence = NO_EVIDENCE
    previous: str

    @property
    def digest(self) -> str:
        """SHA-256 of everything above."""
        return digest_value(to_json(self))

    @property
    def subject(self) -> str:
        """The version that it concerns, as model:number, or the project."""
        return f"{self.model}:{self.version}" if self.model else "project"

    def describe(self) -> str:
        """Return one sentence about the change."""
        before = f", which was version {self.before}" if self.before is not None else ""
        where = f" as {self.alias}{before}" if self.alias else ""
        return f"{self.subject} {self.what}{where}. Entry {self.number} of the audit log, by {self.who}."


def append(connection: sa.Connection, when: str, who: str, evidence: Evidence = NO_EVIDENCE, **change: Any) -> Entry:
    """Add an entry inside a writing transaction, signed when this user has a key, and return it.

    `change` has the other fields of an `Entry`.
    """
    last = connection.execute(sa.select(LOG.c.number, LOG.c.digest).order_by(LOG.c.number.desc()).limit(1)).first()
    number, previous = (last.number + 1, last.digest) if last else (1, ORIGIN)
    if connection.dialect.name == "postgresql":
        user = connection.execute(sa.text("SELECT session_user")).scalar()
        evidence = replace(evidence, database_user=str(user))
    entry = Entry(number=number, when=when, who=who, evidence=evidence, previous=previous, **change)
    text = json.dumps(to_json(entry), sort_keys=True, ensure_ascii=False)
    connection.execute(LOG.insert().values(number=number, entry=text, digest=entry.digest))
    if (key := find_key()) is not None:
        sign_entry(connection, number, text, key)
    return entry


def has_entries(connection: sa.Connection) -> bool:
    """Return whether the log has any entry."""
    return connection.execute(sa.select(LOG.c.number).limit(1)).first() is not None


def last_entry(engine: sa.Engine) -> int:
    """Return the number of the last entry, 0 without any: every registration, promotion and erasure adds one."""
    with reading(engine) as connection:
        return int(connection.execute(sa.select(sa.func.max(LOG.c.number))).scalar() or 0)


def entries(connection: sa.Connection) -> list[tuple[int, str, str]]:
    """Return every line of the log as it is stored: number, entry as JSON, digest."""
    result = connection.execute(sa.select(LOG.c.number, LOG.c.entry, LOG.c.digest).order_by(LOG.c.number))
    return [(line.number, line.entry, line.digest) for line in result]


def read(lines: Iterable[tuple[int, str, str]]) -> list[Entry]:
    """Return the entries of lines. Raises `RegistryError` for one that cannot be read."""
    result = []
    for number, text, _ in lines:
        try:
            result.append(_parse(text))
        except ValueError as error:
            raise RegistryError(
                f"Entry {number} of the audit log cannot be read ({error}): it was altered. "
                "`mlnb audit verify` lists every fault."
            ) from error
    return result


def signing_times(log: Iterable[Entry]) -> dict[int, str]:
    """Return when each entry was signed at the earliest, by its number: an entry is not older than those before it.

    An entry with an earlier time than one before it does not make a signature older than that: a key that was revoked
    in between cannot be used by dating an entry back.
    """
    log = list(log)
    return dict(zip([entry.number for entry in log], accumulate((entry.when for entry in log), max), strict=True))


def _parse(text: str) -> Entry:
    """Return the entry of a line. Raises `ValueError` when it cannot be read."""
    return convert(json.loads(text), Entry, "the entry")


def verify(lines: Iterable[tuple[int, str, str]], head: str = "") -> list[str]:
    """Return every fault of a log as text: altered, missing or moved entries.

    Args:
        lines: from `entries`.
        head: digest that was once the head of the log; a log without it was truncated. Empty: not checked.
    """
    faults, previous, expected, digests = [], ORIGIN, 1, {ORIGIN}
    for number, text, digest in lines:
        try:
            entry = _parse(text)
        except ValueError as error:
            faults.append(f"entry {number} cannot be read: {error}")
            expected, previous = number + 1, digest
            continue
        if number != expected:
            gone = str(expected) if number == expected + 1 else f"{expected} to {number - 1}"
            faults.append(f"missing: entry {gone}")
        if entry.number != number:
            faults.append(f"moved: entry {number} was written as entry {entry.number}")
        if entry.digest != digest:
            faults.append(f"altered: entry {number} ({entry.what} {entry.subject}, {entry.when})")
        if entry.previous != previous and number == expected:
            faults.append(f"broken: entry {number} does not follow entry {number - 1} as that is now")
        expected, previous = number + 1, digest
        digests.add(digest)
    if head and head not in digests:
        faults.append(f"missing: no entry has the digest {head[:12]}…, which was once the head of this log")
    return faults
