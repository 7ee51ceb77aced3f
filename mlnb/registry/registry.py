"""The registry of a project: register versions, promote them by alias, roll back, and log every change."""

import json
import warnings
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from mlnb.codec import to_json
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.engine.test_set_access import recorded_accesses
from mlnb.errors import GateFailed, MlnbError, RegistryError, UnknownRun, UsageError
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
from mlnb.registry.known_head import known_head, remember_head
from mlnb.registry.model_versions import (
    REQUIRED,
    ModelVersion,
    check_alias,
    describe_version,
    document_digests,
    split_reference,
)
from mlnb.registry.registry_state import compare_states, metadata_digest, read_state, replay
from mlnb.registry.version_table import read_versions
from mlnb.signing.envelopes import IN_TOTO, MANIFEST, payload_digest
from mlnb.suggestions import did_you_mean

CHAMPION = "champion"


class Registry:
    """The registered versions of a project; every method is one transaction."""

    def __init__(self, project: Project, who: str = "") -> None:
        self.project = project
        self.who = who or audit_log.actor()

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
        metadata, entry = describe_version(run), None
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
                accesses = tuple(
                    audit_log.LoggedAccess(digest=access.digest, run=access.reader)
                    for access in sorted(recorded_accesses([run.record]))
                )
                evidence = audit_log.Evidence(
                    run=run.id,
                    service=service,
                    metadata=digest,
                    reuse=metadata.reuse,
                    accesses=accesses,
                    manifest=payload_digest(run.folder / MANIFEST, IN_TOTO),
                )
                change = {"what": "registered", "model": model, "version": present, "evidence": evidence}
                entry = audit_log.append(connection, runs.now(), self.who, **change)
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
        every = self.versions()
        if called := [version for version in every if version.is_called(reference)]:
            return called[-1]
        model, number, alias = split_reference(reference)
        model = _choose(model, sorted({version.model for version in every}))
        mine = [version for version in every if version.model == model]
        if number is None and not alias:
            return mine[-1]
        for version in mine:
            if version.number == number or (alias and alias in version.aliases):
                return version
        present = sorted({name for version in mine for name in version.aliases})
        what = f"version {number}; it has 1 to {mine[-1].number}" if number is not None else f"alias {alias!r}"
        hint = did_you_mean(alias, present) if alias else ""
        raise UnknownRun(f"{model} has no {what}.{hint} `mlnb models` lists all versions.")

    def find_or_champion(self, reference: str = "") -> ModelVersion:
        """Return the version of a reference; without one the champion, else the newest. Raises as `find`."""
        if reference:
            return self.find(reference)
        versions = self.versions()
        model = _choose("", sorted({version.model for version in versions}))
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
        """
        version, alias = self.find(reference), check_alias(alias)
        why = _reason(why, f"mlnb promote {version.name}")
        doubts = self._doubts(version)
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
            approved_by=version.approved_by,
            forced_past=tuple(doubts),
        )
        return self._move("promoted", version, alias, why, evidence)

    def rollback(self, model: str = "", alias: str = CHAMPION, why: str = "") -> audit_log.Entry:
        """Point an alias to its previous version and return the entry. Raises `UsageError` without one."""
        version = self.find(f"{model}@{alias}")
        why = _reason(why, f"mlnb rollback {version.model}")
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
        """Record that a person approves a version. Raises `UsageError` without a reason or for a second time."""
        version = self.find(reference)
        why = _reason(why, f"mlnb approve {version.name}")
        if self.who in version.approved_by:
            raise UsageError(f"{self.who} has approved {version.name} already.")
        with writing(self.engine) as connection:
            connection.execute(APPROVALS.insert().values(model=version.model, number=version.number, who=self.who))
            change = {"what": "approved", "model": version.model, "version": version.number, "why": why}
            documents = document_digests(runs.open_exact(self.project, version.run))
            evidence = audit_log.Evidence(service=version.service, documents=documents)
            entry = audit_log.append(connection, runs.now(), self.who, evidence=evidence, **change)
        return self._remember(entry)

    def record_production(self, version: ModelVersion, heads: tuple[audit_log.ProductionHead, ...]) -> audit_log.Entry:
        """Record the heads of prediction log and labels that a version was monitored with; return the entry."""
        change = {"what": "monitored", "model": version.model, "version": version.number}
        return self._append(evidence=audit_log.Evidence(production=heads), **change)

    def record_change(self, what: str, why: str, evidence: audit_log.Evidence) -> audit_log.Entry:
        """Record a change that concerns the project: rows were erased or expired, a hold was placed or removed."""
        return self._append(what=what, model="", version=0, why=why, evidence=evidence)

    def _append(self, **change: Any) -> audit_log.Entry:
        with writing(self.engine) as connection:
            entry = audit_log.append(connection, runs.now(), self.who, **change)
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
        self, what: str, version: ModelVersion, alias: str, why: str, evidence: audit_log.Evidence
    ) -> audit_log.Entry:
        here = (ALIASES.c.model == version.model, ALIASES.c.alias == alias)
        with writing(self.engine) as connection:
            before = connection.execute(sa.select(ALIASES.c.number).where(*here)).scalar()
            if before == version.number:
                raise UsageError(f"{alias} of {version.model} is version {before} already.")
            if before is None:
                values = {"model": version.model, "alias": alias, "number": version.number}
                connection.execute(ALIASES.insert().values(**values))
            else:
                connection.execute(ALIASES.update().where(*here).values(number=version.number))
            change = {"what": what, "model": version.model, "version": version.number, "alias": alias}
            entry = audit_log.append(
                connection, runs.now(), self.who, before=before, why=why, evidence=evidence, **change
            )
        return self._remember(entry)

    def _doubts(self, version: ModelVersion) -> list[str]:
        needed = self.project.settings.approvals
        doubts = [] if version.metadata.gate else ["its gate has failed"]
        if not version.metadata.certificate.identical:
            doubts.append("its bento was not verified to respond as the notebook did")
        if len(version.approved_by) < needed:
            doubts.append(f"approved by {len(version.approved_by)} of {needed} people: `mlnb approve {version.name}`")
        return doubts


def _choose(model: str, models: Iterable[str]) -> str:
    names = list(models)
    if not names:
        raise UnknownRun("No model is registered yet. `mlnb run` trains one and registers it.")
    if not model and len(names) > 1:
        raise UsageError(f"There are {len(names)} models: {', '.join(names[:10])}. Name one, such as {names[0]}:1.")
    if model and model not in names:
        raise UnknownRun(f"No model is called {model!r}; there is {', '.join(names[:10])}.{did_you_mean(model, names)}")
    return model or names[0]


def _reason(why: str, command: str) -> str:
    if not why.strip():
        raise UsageError(f"A reason is needed for the audit log: {command} --reason 'better on new rows'")
    return why.strip()
