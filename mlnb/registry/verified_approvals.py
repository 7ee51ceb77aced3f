"""Approvals of versions: who has approved, and whether the signature of a trusted key verifies it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mlnb.codec import Record
from mlnb.registry.audit_log import Entry, read, signing_times
from mlnb.registry.entry_signatures import KIND
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.required_signer import APPROVER
from mlnb.signing.envelopes import Signature, SignatureCheck, SignatureState, check_signatures
from mlnb.signing.trusted_keys import TrustedKey, TrustedKeys

NO_KEYS = "the project trusts no key"
Line = tuple[int, str, str]  # of the audit log: number, entry as JSON, digest
Named = tuple[str, int]  # model and number of a version


class Approval(Record, frozen=True, kw_only=True):
    """An approval as the audit log has it.

    Args:
        who: who has approved, as the entry states.
        when: ISO 8601, UTC.
        why: what was reviewed.
        entry: number of its entry in the audit log.
        documents: digest of each document that it is about, by the name of its artifact.
        key: id of the key that has signed it; empty: none.
        role: role of this key; empty where the project does not trust it.
        verified: whether it counts: signed by a trusted approver other than the author, about documents.
        problem: why it does not count; empty when it does.
        database_user: user who was logged in to the database server; empty for a registry in a file.
    """

    who: str
    when: str
    why: str
    entry: int
    documents: dict[str, str]
    key: str
    role: str
    verified: bool
    problem: str = ""
    database_user: str = ""

    def describe(self) -> str:
        """Return who has approved, for lists of names: marked where it is not verified."""
        return self.who if self.verified else f"{self.who} (not verified)"


class Authors(NamedTuple):
    """Who registered a version or started its run: names, and ids of keys."""

    names: frozenset[str]
    keys: frozenset[str]

    def include(self, name: str, key: TrustedKey | None = None) -> bool:
        """Return whether a person is one of the authors, by name or by key."""
        return name in self.names or (key is not None and key.keyid in self.keys)


def find_authors(
    version: ModelVersion, lines: Iterable[Line], signatures: Mapping[int, Signature], trusted: TrustedKeys
) -> Authors | None:
    """Return the authors of a version; None when the log does not have its registration."""
    named = (version.model, version.number)
    for entry in read(lines):
        if (entry.what, entry.model, entry.version) == ("registered", *named):
            return _authors(entry, signatures.get(entry.number), trusted)
    return None


def find_approvals(
    lines: Iterable[Line], signatures: Mapping[int, Signature], trusted: TrustedKeys
) -> dict[Named, tuple[Approval, ...]]:
    """Return the approvals of each version that has any, oldest first.

    Args:
        lines: the audit log, from `audit_log.entries`.
        signatures: of its entries, by number.
        trusted: the keys that the project trusts.

    Raises:
        RegistryError: an entry cannot be read.
    """
    lines = list(lines)
    entries = read(lines)
    times = signing_times(entries)
    authors: dict[Named, Authors] = {}
    result: dict[Named, tuple[Approval, ...]] = {}
    for (number, text, _), entry in zip(lines, entries, strict=True):
        named, signature = (entry.model, entry.version), signatures.get(number)
        if entry.what == "registered":
            authors[named] = _authors(entry, signature, trusted)
        if entry.what != "approved":
            continue
        key = trusted.find(signature.keyid) if signature else None
        given = (signature,) if signature else ()
        signed = check_signatures(given, KIND, text.encode(), trusted, times[number])
        problem = _problem(entry, signed, key, authors.get(named)) if trusted.keys else NO_KEYS
        approval = Approval(
            who=entry.who,
            when=entry.when,
            why=entry.why,
            entry=number,
            documents=entry.evidence.documents,
            key=signature.keyid if signature else "",
            role=key.role if key else "",
            verified=not problem,
            problem=problem,
            database_user=entry.evidence.database_user,
        )
        result[named] = (*result.get(named, ()), approval)
    return result


def verified_people(approvals: Iterable[Approval]) -> tuple[str, ...]:
    """Return the owners of the keys that verifiably approved, each once: two keys of a person are one approval."""
    return tuple(sorted({approval.who for approval in approvals if approval.verified}))


def name_people(approvals: Iterable[Approval]) -> str:
    """Return who has approved, each once, as text; those whose approval is not verified are marked."""
    approvals = list(approvals)
    verified = verified_people(approvals)
    names = [approval.describe() for approval in approvals if approval.verified or approval.who not in verified]
    return ", ".join(dict.fromkeys(names))


def _authors(entry: Entry, signature: Signature | None, trusted: TrustedKeys) -> Authors:
    """Return the authors of the version that an entry registers."""
    keys = {*entry.evidence.authors, *([signature.keyid] if signature else [])}
    owners = {key.name for keyid in keys if (key := trusted.find(keyid)) is not None}
    return Authors(frozenset({entry.who, *owners}), frozenset(keys))


def _problem(entry: Entry, signed: SignatureCheck, key: TrustedKey | None, authors: Authors | None) -> str:
    """Return why an approval does not count, where the project trusts keys; empty when it does."""
    if signed.state == SignatureState.UNSIGNED:
        return "it is not signed"
    if signed.state != SignatureState.SIGNED or key is None:
        return f"{signed.state} {signed.who}"
    if key.role != APPROVER:
        return f"the key of {key.name} has the role {key.role}, not {APPROVER}"
    if key.name != entry.who:
        return f"it was signed with the key of {key.name}"
    if authors is None or authors.include(key.name, key):
        return "its author is unknown" if authors is None else "it was approved by its author"
    return "" if entry.evidence.documents else "it names no documents"
