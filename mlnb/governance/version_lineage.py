"""The lineage of a model version: from its aliases and approvals to its run, training rows and raw data."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mlnb.codec import Record
from mlnb.engine.project import Project
from mlnb.engine.run_records import GitState, OutputRecord
from mlnb.engine.runs import Run, open_exact
from mlnb.errors import MlnbError, UnknownRun, UsageError
from mlnb.governance.logged_requests import LoggedRequest, find_request
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.registry.audit_log import Entry
from mlnb.registry.known_head import registry_exists
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.verified_approvals import Approval, Named


class DataLineage(Record, frozen=True, kw_only=True):
    """The data that a model was trained and tested on.

    Args:
        source: where the raw data were read from.
        provenance: what is known about them: rows, columns, digest, licence ...
        raw, training, training_rows, test: digests of the artifacts: raw data, training rows, number of each training
            row in the validated table, and test rows.
        rows: number of training rows.
    """

    source: str
    provenance: dict[str, Any]
    raw: str | None
    training: str | None
    training_rows: str | None
    test: str | None
    rows: int | None


class Lineage(Record, frozen=True, kw_only=True):
    """A version with everything that it was made from.

    Args:
        version: model:number.
        aliases: aliases that point to it.
        tag: tag of the model, in the header X-Model-Version and the prediction log.
        bento: tag of its bento.
        service: digest of what the bento is built from.
        changes: entries of the audit log about the version: its registration, promotions and approvals.
        approvals: its approvals, and whether each is verified.
        run: id of the run that made it.
        command, git: how the run was started, and on which commit; empty when the run was deleted.
        manifest: digest of the statement in the run's manifest, as the audit log has it.
        reuse: how many test rows other evaluations had loaded before.
        data: the data; None when the run was deleted.
        requests: the logged request that the lineage starts from; empty without one.
    """

    version: str
    aliases: tuple[str, ...]
    tag: str
    bento: str
    service: str
    changes: tuple[Entry, ...]
    approvals: tuple[Approval, ...]
    run: str
    command: tuple[str, ...]
    git: GitState | None
    manifest: str
    reuse: HoldoutReuse | None
    data: DataLineage | None
    requests: tuple[LoggedRequest, ...] = ()


class VersionLog(NamedTuple):
    """The audit log, and the approvals of each version that has any."""

    entries: Sequence[Entry]
    approvals: Mapping[Named, tuple[Approval, ...]]


def trace(project: Project, reference: str) -> list[Lineage]:
    """Return the lineage of a version, or of each version that may have responded to a request.

    Versions may share a model and its tag: their services differ, in golden rows or metadata.

    Args:
        project: The project.
        reference: A version, such as model:3 or @champion; the tag of a model or bento, the id of a run, the digest of
            a service or its first 12 characters; or the id of a logged request.

    Raises:
        UnknownRun: Nothing has that name.
        RegistryError: The registry cannot be read.
    """
    registry = Registry(project) if registry_exists(project) else None
    versions = registry.versions() if registry else []
    log = VersionLog(registry.log(), registry.approvals()) if registry else VersionLog([], {})
    named = _find_versions(registry, versions, reference) if registry else []
    if named:
        return [_describe(project, version, log) for version in named]
    requests = find_request(project, reference)
    if not requests:
        raise UnknownRun(
            f"Nothing is called {reference!r}: expected a version, a tag of a model or bento, the id of a run whose "
            "model is registered, or the id of a logged request. `mlnb models` lists the versions."
        )
    lineages = []
    for tag in dict.fromkeys(request.model for request in requests):
        own = [request for request in requests if request.model == tag]
        tagged = [version for version in versions if version.metadata.certificate.model == tag]
        lineages += [_describe(project, version, log, own) for version in tagged]
    if not lineages:
        tags = ", ".join(sorted({request.model for request in requests}))
        raise UnknownRun(f"Request {reference} was answered by {tags}, which is not registered here.")
    return lineages


def _find_versions(registry: Registry, versions: Iterable[ModelVersion], reference: str) -> list[ModelVersion]:
    """Return the versions that a reference names, by any of their ids; several may share the tag of a model."""
    matches = [version for version in versions if version.is_called(reference)]
    if not matches:
        with suppress(UnknownRun, UsageError):
            matches.append(registry.find(reference))
    return matches


def _describe(
    project: Project, version: ModelVersion, log: VersionLog, requests: Iterable[LoggedRequest] = ()
) -> Lineage:
    own = [
        entry
        for entry in log.entries
        if (entry.model, entry.version) == (version.model, version.number) or _is_erasure(entry, version)
    ]
    changes = tuple(entry for entry in own if not entry.evidence.production)  # monitoring changes nothing
    run = open_exact(project, version.run)
    metadata = version.metadata
    return Lineage(
        version=version.name,
        aliases=version.aliases,
        tag=metadata.certificate.model,
        bento=metadata.bento,
        service=version.service,
        changes=changes,
        approvals=log.approvals.get((version.model, version.number), ()),
        run=version.run,
        command=run.record.command if run else (),
        git=metadata.git,
        manifest=next((entry.evidence.manifest for entry in changes if entry.what == "registered"), ""),
        reuse=metadata.reuse,
        data=_describe_data(run) if run else None,
        requests=tuple(requests),
    )


def _is_erasure(entry: Entry, version: ModelVersion) -> bool:
    """Return whether an entry is the erasure of rows that a version was trained on."""
    return entry.evidence.erasure is not None and version.name in entry.evidence.erasure.retrain


def _describe_data(run: Run) -> DataLineage:
    provenance: dict[str, Any] = {}
    with suppress(MlnbError, TypeError, ValueError):  # deleted, or of another pipeline
        provenance = dict(run.load("provenance"))
    split = run.stages.get("split")
    rows = split.metrics.get("training_rows") if split else None
    return DataLineage(
        source=str(provenance.get("source", "")),
        provenance=provenance,
        raw=_digest(run.output("raw")),
        training=_digest(run.output("training")),
        training_rows=_digest(run.output("training_rows")),
        test=_digest(run.output("test")),
        rows=None if rows is None else int(rows),
    )


def _digest(output: OutputRecord | None) -> str | None:
    return output.digest if output else None
