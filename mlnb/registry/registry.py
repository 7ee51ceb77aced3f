"""The registry of a project: register versions, promote them by alias, roll back, and log every change."""

import json
import warnings
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from mlnb.codec import to_json
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.engine.test_set_access import recorded_accesses
from mlnb.errors import AccessDenied, GateFailed, MlnbError, RegistryError, UsageError
from mlnb.machine import actor
from mlnb.registry import audit_log
from mlnb.registry.anchored_heads import anchor_head
from mlnb.registry.database import (
    ALIASES,
    APPROVALS,
    VERSIONS,
    database_url,
    lost_registry,
    open_database,
    reading,
    writing,
)
from mlnb.registry.entry_signatures import read_signatures
from mlnb.registry.known_head import known_head, remember_head
from mlnb.registry.model_versions import REQUIRED, ModelVersion, check_alias, describe_version, document_digests
from mlnb.registry.registry_state import compare_states, metadata_digest, read_state, replay
from mlnb.registry.required_signer import APPROVER, acting_person, find_signer
from mlnb.registry.verified_approvals import Approval, find_approvals, find_authors, verified_people
from mlnb.registry.version_requirements import check_approver, unmet_requirements
from mlnb.registry.version_table import choose_model, find_version, read_versions
from mlnb.signing.envelopes import IN_TOTO, MANIFEST, payload_digest, signing_keys
from mlnb.signing.trusted_keys import TrustedKey, keys_path, read_trusted_keys

CHAMPION = "champion"


class Registry:
    """The registered versions of a project; every method is one transaction."""

    def __init__(self, project: Project, who: str = "") -> None:
        self.project = project
        self.who = who or actor()

    @cached_property
    def engine(self) -> sa.Engine:
        """The open database. Raises `RegistryError`."""
        url = database_url(self.project)
        head = known_head(self.project, url)
        engine = open_database(url, create=not head)
        if head:
            with reading(engine) as connection:
                if not audit_log.has_entries(connection):
                    raise RegistryError(lost_registry(url))
        return engine

    def _remember(self, entry: audit_log.Entry) -> audit_log.Entry:
        """Keep and anchor the digest of a new entry, by which a lost or rewritten log is noticed; return the entry."""
        remember_head(self.project, database_url(self.project), entry.digest)
        anchor_head(self.project, entry.number, entry.digest)
        return entry

    def register(self, run: runs.Run) -> ModelVersion:
        """Return the version of a verified run; it is created when the model has none with the same bytes."""
        metadata, recorded, entry = describe_version(run), recorded_accesses([run.record]), None
        who = acting_person(self.project, self.who)
        model, service = metadata.certificate.model.partition(":")[0], metadata.service.digest
        with writing(self.engine) as connection:
            present = connection.execute(
                sa.select(VERSIONS.c.number).where(VERSIONS.c.model == model, VERSIONS.c.service == service)
            ).scalar()
            if present is None:
                last = connection.execute(sa.select(sa.func.max(VERSIONS.c.number)).where(VERSIONS.c.model == model))
                present = (last.scalar() or 0) + 1
                text = json.dumps(to_json(metadata), sort_keys=True, ensure_ascii=False)
                values = {"model": model, "number": present, "service": service, "run": run.id, "metadata": text}
                connection.execute(VERSIONS.insert().values(**values))
                digest = metadata_digest(run.id, service, text)
                accesses = [audit_log.LoggedAccess(digest=one.digest, run=one.reader) for one in sorted(recorded)]
                evidence = audit_log.Evidence(
                    run=run.id,
                    service=service,
                    metadata=digest,
                    reuse=metadata.reuse,
                    accesses=tuple(accesses),
                    manifest=payload_digest(run.folder / MANIFEST, IN_TOTO),
                    authors=signing_keys(run.folder / MANIFEST, IN_TOTO),
                )
                change = {"what": "registered", "model": model, "version": present}
                entry = audit_log.append(connection, runs.now(), who, evidence, **change)
        if entry is not None:
            self._remember(entry)
        return self.find(f"{model}:{present}")

    def sync(self) -> list[ModelVersion]:
        """Register every verified run that is not registered yet, oldest first; return the new versions."""
        with reading(self.engine) as connection:
            present = set(connection.execute(sa.select(VERSIONS.c.service)).scalars())
        new = []
        for run in reversed(runs.list_runs(self.project)):
            output = run.output("service") if all(run.has(artifact) for artifact in REQUIRED) else None
            if output is None or output.digest in present:
                continue
            try:
                new.append(self.register(run))
                present.add(output.digest)
            except AccessDenied as error:  # those who only read or approve register nothing
                warnings.warn(f"run {run.id} is not registered: {error}", RuntimeWarning, stacklevel=2)
                return new
            except RegistryError:
                raise
            except (MlnbError, KeyError, OSError) as error:  # a run that is damaged must not hide the others
                warnings.warn(f"run {run.id} cannot be registered: {error}", RuntimeWarning, stacklevel=2)
        return new

    def versions(self, model: str = "") -> list[ModelVersion]:
        """Return all versions, or those of one model, in the order of registration."""
        with reading(self.engine) as connection:
            return read_versions(connection, model)

    def find(self, reference: str) -> ModelVersion:
        """Return the version of a reference: model:3, model@alias, or 3 and @alias where there is only one model.

        Any other id of a version names it, too (`ModelVersion.is_called`); of several the newest one is returned.

        Raises `UnknownRun` when there is no such version, `UsageError` when there are several models.
        """
        return find_version(self.versions(), reference)

    def find_or_champion(self, reference: str = "") -> ModelVersion:
        """Return the version of a reference; without one the champion, else the newest. Raises as `find`."""
        if reference:
            return self.find(reference)
        versions = self.versions()
        model = choose_model("", {version.model for version in versions})
        champion = [version for version in versions if CHAMPION in version.aliases]
        return champion[0] if champion else self.find(model)

    def promote(self, reference: str, alias: str = CHAMPION, why: str = "", force: bool = False) -> audit_log.Entry:
        """Point an alias to a version and return the entry of the log.

        Args:
            reference: the version.
            alias: champion, or another one.
            why: the reason for the audit log.
            force: promote even when the gate failed or approvals are missing.

        Raises:
            GateFailed: the gate failed or approvals are missing, without `force`.
            UsageError: there is no reason, or the alias points there already.
            AccessDenied: approvals are needed, the project trusts keys, and this user has none of them.
        """
        version, alias, why = self.find(reference), check_alias(alias), check_reason(why, "better on new rows")
        needed = self.project.settings.approvals
        signer = find_signer(self.project, self.who, "A promotion that needs approvals") if needed else None
        approved_by = self.people(version)
        doubts = unmet_requirements(version, len(approved_by), needed)
        if doubts and not force:
            raise GateFailed(
                f"{version.name} is not promoted: {'; '.join(doubts)}. --force promotes it, and is logged."
            )
        metadata = version.metadata
        evidence = audit_log.Evidence(
            service=version.service,
            gate=metadata.gate,
            bento=metadata.bento,
            deciding=metadata.deciding,
            approved_by=approved_by,
            forced_past=tuple(doubts),
        )
        return self._move("promoted", version, alias, why, evidence, signer)

    def rollback(self, model: str = "", alias: str = CHAMPION, why: str = "") -> audit_log.Entry:
        """Point an alias to its previous version and return the entry. Raises `UsageError` without one."""
        version = self.find(f"{model}@{alias}")
        why = check_reason(why, "complaints since noon")
        stack: list[int] = []
        for entry in self.log():
            if (entry.model, entry.alias) == (version.model, alias):
                if entry.what == "promoted":
                    stack.append(entry.version)
                elif entry.what == "rolled back" and stack:
                    stack.pop()
        if len(stack) < 2:
            raise UsageError(f"{version.name} is the first {alias} of {version.model}: there is no version before it.")
        target = self.find(f"{version.model}:{stack[-2]}")
        evidence = audit_log.Evidence(from_version=version.name, service=target.service)
        return self._move("rolled back", target, alias, why, evidence)

    def approve(self, reference: str, why: str = "") -> audit_log.Entry:
        """Record that a person approves a version.

        Where the project trusts keys, the person is the owner of the key that signs the approval.

        Raises:
            UsageError: there is no reason, or this person has approved the version already.
            AccessDenied: the key does not count, it is that of the version's author, or the version has no documents.
        """
        version = self.find(reference)
        why = check_reason(why, "report and slices reviewed")
        signer = find_signer(self.project, self.who, "An approval", (APPROVER,))
        who = signer.name if signer else self.who
        documents = document_digests(runs.open_exact(self.project, version.run))
        if signer is not None:
            with reading(self.engine) as connection:
                lines, signatures = audit_log.entries(connection), read_signatures(connection)
            authors = find_authors(version, lines, signatures, read_trusted_keys(keys_path(self.project)))
            check_approver(version, signer, authors, documents)
        if who in self.people(version):
            raise UsageError(f"{who} has approved {version.name} already.")
        with writing(self.engine) as connection:
            if who not in version.approved_by:  # by an approval that was not verified
                connection.execute(APPROVALS.insert().values(model=version.model, number=version.number, who=who))
            change = {"what": "approved", "model": version.model, "version": version.number, "why": why}
            evidence = audit_log.Evidence(service=version.service, documents=documents)
            entry = audit_log.append(connection, runs.now(), who, evidence=evidence, **change)
        return self._remember(entry)

    def approvals(self) -> dict[tuple[str, int], tuple[Approval, ...]]:
        """Return the approvals of each version that has any, by model and number, and whether each is verified."""
        trusted = read_trusted_keys(keys_path(self.project))
        with reading(self.engine) as connection:
            return find_approvals(audit_log.entries(connection), read_signatures(connection), trusted)

    def record_production(self, version: ModelVersion, heads: tuple[audit_log.ProductionHead, ...]) -> audit_log.Entry:
        """Record the heads of prediction log and labels that a version was monitored with; return the entry."""
        change = {"what": "monitored", "model": version.model, "version": version.number}
        return self._append(evidence=audit_log.Evidence(production=heads), **change)

    def record_change(self, what: str, why: str, evidence: audit_log.Evidence) -> audit_log.Entry:
        """Record a change that concerns the project: rows were erased or expired, a hold was placed or removed."""
        return self._append(what=what, model="", version=0, why=why, evidence=evidence)

    def _append(self, **change: Any) -> audit_log.Entry:
        with writing(self.engine) as connection:
            who = acting_person(self.project, self.who)
            entry = audit_log.append(connection, runs.now(), who, **change)
        return self._remember(entry)

    def log(self) -> list[audit_log.Entry]:
        """Return the entries of the audit log, oldest first. Raises `RegistryError` for one that is damaged."""
        with reading(self.engine) as connection:
            return audit_log.read(audit_log.entries(connection))

    def verify(self, head: str = "", remember: bool = True) -> tuple[list[str], int, str]:
        """Return every fault of log and tables as text, the number of entries, and the digest of the last.

        Args:
            head: Digest that must be in the log; empty: the last one that this project has read.
            remember: Whether the digest of the last entry is written, for the next verification.
        """
        head = head or known_head(self.project, database_url(self.project))
        with reading(self.engine) as connection:
            lines = audit_log.entries(connection)
            faults = audit_log.verify(lines, head)
            if not audit_log.verify(lines):
                faults += compare_states(replay(audit_log.read(lines)), read_state(connection))
        if remember and lines and not faults:
            remember_head(self.project, database_url(self.project), lines[-1][2])
        return faults, len(lines), lines[-1][2] if lines else audit_log.ORIGIN

    def _move(
        self,
        what: str,
        version: ModelVersion,
        alias: str,
        why: str,
        evidence: audit_log.Evidence,
        signer: TrustedKey | None = None,
    ) -> audit_log.Entry:
        here = (ALIASES.c.model == version.model, ALIASES.c.alias == alias)
        with writing(self.engine) as connection:
            before = connection.execute(sa.select(ALIASES.c.number).where(*here)).scalar()
            if before == version.number:
                raise UsageError(f"{alias} of {version.model} is version {before} already.")
            if before is None:
                connection.execute(ALIASES.insert().values(model=version.model, alias=alias, number=version.number))
            else:
                connection.execute(ALIASES.update().where(*here).values(number=version.number))
            change = {"what": what, "model": version.model, "version": version.number, "alias": alias}
            who = signer.name if signer else acting_person(self.project, self.who)
            entry = audit_log.append(connection, runs.now(), who, before=before, why=why, evidence=evidence, **change)
        return self._remember(entry)

    def people(self, version: ModelVersion) -> tuple[str, ...]:
        """Return whose approvals of a version count; where the project trusts keys, by verified key."""
        if not read_trusted_keys(keys_path(self.project)).keys:
            return version.approved_by
        return verified_people(self.approvals().get((version.model, version.number), ()))


def check_reason(why: str, example: str) -> str:
    """Return a reason for the audit log. Raises `UsageError` when there is none."""
    if why.strip():
        return why.strip()
    raise UsageError(f"A reason is needed for the audit log; add --reason '{example}'")
