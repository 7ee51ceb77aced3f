"""Verification of the registry without changing it: log, signatures, anchored and known heads, tables, versions."""

from collections.abc import Iterator

from mlnb.engine.project import Project
from mlnb.engine.project_lock import pending_journals
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.test_set_access import Access
from mlnb.engine.tombstones import erasure_path, read_erasures
from mlnb.errors import RegistryError
from mlnb.governance.approval_verification import check_approvals
from mlnb.governance.checks import Check, CheckState, SignaturePolicy, altered, compare_digest, missing, ok
from mlnb.governance.stored_objects import check_access, check_artifact, find_digest
from mlnb.monitoring.production_heads import store_identity
from mlnb.registry import audit_log
from mlnb.registry.anchored_heads import missing_anchors, read_anchors
from mlnb.registry.database import database_url, open_database, reading
from mlnb.registry.entry_signatures import KIND, read_signatures
from mlnb.registry.known_head import head_path, known_heads, registry_exists
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry_state import compare_states, read_state, replay
from mlnb.registry.version_table import read_versions
from mlnb.signing.envelopes import Signature, SignatureState, check_signatures

LOG = "audit log"
Lines = list[tuple[int, str, str]]


class RegistryContents:
    """What the registry of a project holds, read once.

    Attributes:
        lines: The lines of the audit log.
        entries: Its entries; none when one cannot be read.
        versions: The registered versions.
        faults: Where log and tables differ.
        signatures: The signature of each signed entry, by its number.
    """

    def __init__(self, project: Project) -> None:
        """Read the registry, which must exist. Raises `RegistryError`."""
        self.project = project
        engine = open_database(database_url(project), create=False)
        try:
            with reading(engine) as connection:
                self.lines: Lines = audit_log.entries(connection)
                sound = not audit_log.verify(self.lines)
                self.entries = audit_log.read(self.lines) if sound else []
                self.faults = compare_states(replay(self.entries), read_state(connection)) if sound else []
                self.signatures: dict[int, Signature] = read_signatures(connection)
                self.versions: list[ModelVersion] = read_versions(connection)
        finally:
            engine.dispose()

    def manifests(self) -> dict[str, str]:
        """Return the digest of each registered run's statement, by the id of the run."""
        evidence = [entry.evidence for entry in self.entries if entry.what == "registered"]
        return {one.run: one.manifest for one in evidence if one.manifest}


def open_registry(project: Project) -> RegistryContents | None:
    """Return the contents of the registry; None when the project has none. Raises `RegistryError`."""
    return RegistryContents(project) if registry_exists(project) else None


def verify_registry(contents: RegistryContents, policy: SignaturePolicy) -> Iterator[Check]:
    """Yield the results for log, signatures, heads, tables, and the test-set accesses that the log names."""
    project, lines = contents.project, contents.lines
    yield from _check_head_file(project, lines)
    faults = audit_log.verify(lines)
    yield from (altered(LOG, fault) for fault in faults)
    if not faults:
        yield ok(LOG, f"{len(lines)} entries, head {lines[-1][2][:12]}" if lines else "no entries")
    yield from (altered("registry tables", fault) for fault in contents.faults)
    yield from _check_signatures(contents, policy)
    yield from _check_anchors(project, lines)
    for entry in contents.entries:
        for access in entry.evidence.accesses:
            yield from check_access(project, Access(access.digest, access.run))
    yield from check_approvals(project, lines, contents.entries, contents.signatures, contents.versions, policy)
    yield from _check_erasures(contents)


def verify_version(project: Project, version: ModelVersion) -> Iterator[Check]:
    """Yield the results for the artifacts that a version needs when its run was deleted."""
    yield from check_artifact(project, f"service of {version.name}", version.metadata.service)
    if version.metadata.predictions is not None:
        output = OutputRecord(digest=version.metadata.predictions, format="table", bytes=0, description="")
        yield from check_artifact(project, f"test predictions of {version.name}", output)


def _check_head_file(project: Project, lines: Lines) -> Iterator[Check]:
    """Yield the result for the head that this project has last seen; of a shared registry it may have seen none."""
    path = head_path(project)
    where = path.relative_to(project.root).as_posix()
    if not path.exists():
        if not project.settings.registry:
            yield missing(where, "the head of the audit log that this project has last seen was deleted")
        return
    heads = known_heads(project)
    if not heads.intersection(digest for _, _, digest in lines):
        yield altered(where, "no entry has the digest that was the head of the audit log when it was last seen")
    else:
        yield ok(where)


def _check_signatures(contents: RegistryContents, policy: SignaturePolicy) -> Iterator[Check]:
    """Yield a result for each entry whose signature is invalid or missing; one for all that are signed."""
    count, times = 0, audit_log.signing_times(contents.entries)
    for number, text, _ in contents.lines:
        signature = contents.signatures.get(number)
        given = (signature,) if signature else ()
        signed = check_signatures(given, KIND, text.encode(), policy.trusted, times.get(number, ""))
        if signed.state == SignatureState.SIGNED:
            count += 1
            continue
        yield policy.check(f"{LOG}, entry {number}", times.get(number, "9999"), signed)
    if count:
        yield ok(f"{LOG}, signatures", f"{count} of {len(contents.lines)} entries are signed")


def _check_erasures(contents: RegistryContents) -> Iterator[Check]:
    """Yield a result for the record of each erasure by the digest in the log, and for one that the log lacks."""
    root = contents.project.store_root
    own = [entry for entry in contents.entries if entry.evidence.erasure is not None]
    named = {
        each.evidence.erasure.id: (each.number, each.evidence.erasure.digest)
        for each in own
        if each.evidence.erasure is not None and each.evidence.erasure.store == store_identity(contents.project)
    }
    present = {stored.path.stem: stored.path for stored in read_erasures(root)}
    for name in sorted({*named, *present}):
        path = present.get(name, erasure_path(root, name))
        where = path.relative_to(contents.project.root).as_posix()
        number, digest = named.get(name, (0, ""))
        if not digest:
            yield altered(where, "the audit log does not name this erasure")
            continue
        check = compare_digest(where, find_digest(path), digest)
        yield check._replace(detail=f"entry {number} of the audit log has another record" * (not check.passed))
    for journal in pending_journals(contents.project):
        where = journal.parent.relative_to(contents.project.root).as_posix()
        yield altered(where, "an erasure was interrupted; `mlnb erase --resume` finishes it")


def _check_anchors(project: Project, lines: Lines) -> Iterator[Check]:
    anchor = project.settings.audit_anchor
    if not anchor:
        return
    try:
        heads, damaged = read_anchors(project)
    except RegistryError as error:
        yield missing(f"anchored heads in {anchor}", str(error))
        return
    yield from (altered(f"{anchor}/{name}") for name in damaged)
    faults = missing_anchors(lines, heads)
    yield from (altered(LOG, fault) for fault in faults)
    if lines and not heads and not damaged:
        yield missing(f"anchored heads in {anchor}")
    elif not faults:
        yield Check(f"anchored heads in {anchor}", CheckState.OK, f"{len(heads)} heads are in the log", passed=True)
