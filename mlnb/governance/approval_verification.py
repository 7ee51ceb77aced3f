"""Verification of approvals and promotions: who has approved verifiably, and what the approved documents are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mlnb.engine.project import Project
from mlnb.engine.runs import open_exact
from mlnb.errors import SchemaError
from mlnb.governance.checks import Check, CheckState, SignaturePolicy, altered, ok
from mlnb.registry.audit_log import Entry
from mlnb.registry.model_versions import ModelVersion, document_digests
from mlnb.registry.verified_approvals import Approval, Line, find_approvals, verified_people
from mlnb.signing.envelopes import Signature


def check_approvals(
    project: Project,
    lines: Sequence[Line],
    entries: Sequence[Entry],
    signatures: Mapping[int, Signature],
    versions: Iterable[ModelVersion],
    policy: SignaturePolicy,
) -> Iterator[Check]:
    """Yield a result for each approval, and for each current alias of a version whose promotion needs approvals.

    Args:
        project: The project.
        lines: The lines of the audit log.
        entries: Its entries; none when the log was altered: it has a separate result.
        signatures: The signature of each signed entry, by its number.
        versions: The registered versions.
        policy: Which signatures are required.
    """
    if not entries:
        return
    approvals = find_approvals(lines, signatures, policy.trusted)
    for version in versions:
        given = approvals.get((version.model, version.number), ())
        documents = _documents(project, version) if given else {}
        yield from (_check_approval(version, approval, documents, policy) for approval in given)
        if project.settings.approvals and policy.trusted.keys:
            yield from _check_promotions(version, given, entries, project.settings.approvals)


def _check_approval(
    version: ModelVersion, approval: Approval, documents: Mapping[str, str], policy: SignaturePolicy
) -> Check:
    subject = f"approval of {version.name} by {approval.who}"
    changed = [name for name, digest in approval.documents.items() if documents.get(name, digest) != digest]
    if changed:
        return altered(subject, f"it is about another {', '.join(changed)}")
    if approval.verified:
        return ok(subject, f"verified, key {approval.key[:12]}")
    passed = not policy.requires_signature(approval.when)
    return Check(subject, CheckState.UNSIGNED, f"not verified: {approval.problem}", passed)


def _check_promotions(
    version: ModelVersion, approvals: Sequence[Approval], entries: Iterable[Entry], needed: int
) -> Iterator[Check]:
    """Yield a result for each alias that points to a version, about its approvals."""
    people, count = verified_people(approvals), f"of {needed} verified approvals"
    for alias in version.aliases:
        named = ("promoted", version.model, version.number, alias)
        moves = [entry for entry in entries if (entry.what, entry.model, entry.version, entry.alias) == named]
        if not moves:
            continue
        last, subject = moves[-1], f"promotion of {version.name} to {alias}"
        before = verified_people(approval for approval in approvals if approval.entry < last.number)
        late = f", {len(people) - len(before)} after the promotion" if len(before) < needed else ""
        if len(people) >= needed:
            yield ok(subject, f"{len(people)} {count}{late}")
        elif last.evidence.forced_past:
            yield ok(subject, f"{len(people)} {count}, forced by {last.who}: {last.why}")
        else:
            yield Check(subject, CheckState.OPEN, f"{len(people)} {count}: `mlnb approve {version.name}`")


def _documents(project: Project, version: ModelVersion) -> dict[str, str]:
    """Return the digests of the documents of a version's run; none of a damaged run, which has a separate result."""
    try:
        return document_digests(open_exact(project, version.run))
    except SchemaError:
        return {}
