"""Carries out an erasure: new bytes are on the disk before anything changes; a journal continues it after a kill."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlnb.codec import decode
from mlnb.engine.confined_names import is_digest
from mlnb.engine.digests import digest_bytes, digest_file
from mlnb.engine.files import PRIVATE, delete_folder, flush_folder, full_disk_explained, make_folder
from mlnb.engine.project import Project
from mlnb.engine.project_lock import JOURNAL, journal_folder, pending_journals
from mlnb.engine.row_hashes import row_hashes
from mlnb.engine.runs import now
from mlnb.engine.test_set_access import rows_path
from mlnb.engine.tombstones import Erasure, erasure_path, marker_path
from mlnb.erasure.erasure_changes import MARKERS, RECORD, ChainChange, Journal, LabelChange, Staging
from mlnb.erasure.erasure_plan import ErasurePlan
from mlnb.erasure.file_contents import read_rows
from mlnb.erasure.file_search import Action
from mlnb.erasure.production_rows import chain_head, chain_of, remove_labels, rewrite_chain, without_rows
from mlnb.errors import ProjectError, RemoteError
from mlnb.governance.production_verification import verify_production
from mlnb.machine import actor
from mlnb.monitoring.labels import read_head
from mlnb.monitoring.monitoring_paths import shipped
from mlnb.monitoring.production_heads import make_head, store_identity
from mlnb.registry.audit_log import ErasureEvidence, Evidence, HeadLink
from mlnb.registry.registry import Registry


def erase(project: Project, plan: ErasurePlan, reason: str) -> Erasure:
    """Erase what a plan names; return the record. The caller holds the lock of the project.

    Raises:
        ProjectError: A service is still writing a segment with the rows, or log or labels are not as they were written.
        StoreFull: The disk is full; nothing was changed.
        RegistryError: The audit log cannot be written; `resume` continues.
    """
    _refuse_unsafe(project, plan)
    name = f"{now()[:19].replace(':', '')}-{os.urandom(3).hex()}"
    staging = Staging(project, name)
    try:
        with full_disk_explained(staging.folder):
            journal = _prepare(project, plan, staging, name)
            erasure = Erasure(
                id=name,
                when=now(),
                who=actor(),
                reason=reason,
                columns=plan.selection.columns,
                rows=plan.rows,
                objects=tuple(sorted(plan.stored.objects)),
                files=tuple(staging.erased),
                versions=tuple(plan.versions),
                unservable=tuple(plan.unservable),
            )
            staging.commit(erasure, journal)
    except BaseException:
        if not (staging.folder / JOURNAL).exists():
            delete_folder(staging.folder)
        raise
    return finish(project, staging.folder)


def _refuse_unsafe(project: Project, plan: ErasurePlan) -> None:
    """Raise `ProjectError` when a log or labels cannot be written again safely."""
    being_written = [each.path for one in plan.production for each in one.segments if each.is_open]
    if being_written:
        raise ProjectError(
            f"A service is writing {being_written[0].name}, which has selected rows; nothing was erased. Stop the "
            "service, or wait until the segment ends (MLNB_LOG_SECONDS, 300 by default), then run again."
        )
    if not plan.production:
        return
    entries = Registry(project).log()
    faults = [check for check in verify_production(project, entries, strict=False) if not check.passed]
    if faults:
        raise ProjectError(
            f"{faults[0].subject} is {faults[0].state}; nothing was erased, as writing it again would hide that. "
            "`mlnb verify` names every fault; restore the files from a backup."
        )


def resume(project: Project) -> list[Erasure]:
    """Finish the erasures that were interrupted, and return their records; the caller holds the lock of the project."""
    for folder in journal_folder(project).glob("*"):
        if not (folder / JOURNAL).exists():
            delete_folder(folder)  # it was killed before anything was changed
    return [finish(project, path.parent) for path in pending_journals(project)]


def _prepare(project: Project, plan: ErasurePlan, staging: Staging, name: str) -> Journal:
    """Stage the new bytes of every file; return the journal."""
    for digest in sorted(plan.stored.objects):
        staging.remove(project.store.path(digest))
        if digest not in plan.stored.derived:
            staging.mark(digest)
    for digest in plan.stored.tables:
        _stage_hashes(project, plan, staging, digest)
    for location in plan.files:
        if location.new is not None:
            staging.replace(location.path, location.new, location.before)
        elif location.action == Action.DELETE:
            staging.remove(location.path, location.before)
    for record in plan.restored_records:
        staging.remove(record)
    chains: dict[str, dict[str, tuple[int, str]]] = {}
    labels, heads, uploads = [], [], dict[str, str]()
    for model in plan.production:
        url = shipped(project, model.model)
        for segment in model.segments:
            data = without_rows(segment)
            staging.replace(segment.path, data, digest_file(segment.path))
            remaining = int((~segment.matches).sum())
            if (chain := chain_of(segment.path)) is not None:
                chains.setdefault(staging.where(chain), {})[segment.path.name] = (remaining, digest_bytes(data))
                uploads |= {staging.where(chain): model.model} if url else {}
            uploads |= {staging.where(segment.path): model.model} if url else {}
        if model.labels:
            labels.append(LabelChange(database=staging.where(model.database), gone=tuple(dict.fromkeys(model.labels))))
            head = read_head(model.database)
            heads.append(make_head(project, model.database, head.number, head.digest))
    heads += [make_head(project, project.root / path, *chain_head(project.root / path)) for path in chains]
    written = tuple(ChainChange(path=path, segments=segments) for path, segments in chains.items())
    return Journal(
        id=name,
        what="erased",
        files=tuple(staging.files),
        chains=written,
        labels=tuple(labels),
        heads=tuple(heads),
        uploads=uploads,
    )


def _stage_hashes(project: Project, plan: ErasurePlan, staging: Staging, digest: str) -> None:
    """Stage the hashes of a test set's rows without those that are erased."""
    path = rows_path(project.store_root, digest)
    table = read_rows(project.store.path(digest).read_bytes()) if path.exists() else None
    matches = plan.selection.matches(table) if table is not None else None
    if table is None or matches is None:
        return
    hashes = row_hashes(table[~matches])
    if hashes is not None:
        staging.replace(path, hashes.astype("<u8").tobytes(), digest_file(path))


def finish(project: Project, folder: Path) -> Erasure:
    """Apply the journal of an erasure, record it in the audit log, and remove the journal; return the record."""
    journal = decode(Journal, (folder / JOURNAL).read_bytes(), str(folder / JOURNAL))
    record = erasure_path(project.store_root, journal.id)
    for marker in sorted((folder / MARKERS).glob("*")):
        _move(marker, marker_path(project.store_root, marker.name))
    for change in journal.files:
        _apply(project.root / change.path, change.staged, folder)
    for number, chain in enumerate(journal.chains):
        rewrite_chain(project.root / chain.path, chain.segments, folder / f"{number}.chain")
    for label in journal.labels:
        names = [row for _, row in label.gone if isinstance(row, str)]
        remove_labels(project.root / label.database, label.gone, names)
    if (folder / RECORD).exists():
        _move(folder / RECORD, record)
    erasure = decode(Erasure, record.read_bytes(), str(record))
    registry = Registry(project)
    if not any(entry.evidence.erasure and entry.evidence.erasure.id == journal.id for entry in registry.log()):
        evidence = ErasureEvidence(
            id=journal.id,
            digest=digest_file(record),
            store=store_identity(project),
            links=tuple(_links(project, journal)),
            retrain=erasure.versions,
        )
        registry.record_change(journal.what, erasure.reason, Evidence(erasure=evidence))
    _upload(project, journal)
    if journal.what == "erased":  # what expires here is kept there
        erase_remote(project, erasure)
        _erase_shared(project)
    delete_folder(folder)
    flush_folder(folder.parent)
    return erasure


def erase_remote(project: Project, erasure: Erasure) -> None:
    """Delete from the remote store what was erased here: objects, and the files of runs as they were before."""
    remote = project.store.remote
    digests = {*erasure.objects, *(file.before for file in erasure.files)}
    if remote is None or not digests:
        return
    try:
        remote.erase(sorted(filter(is_digest, digests)))
    except RemoteError as error:
        raise ProjectError(
            f"The rows are erased here, but the remote store may have them still: {error} Set remote_mode = rw with "
            "credentials that may delete; `mlnb erase --resume` tries again."
        ) from error


def _erase_shared(project: Project) -> None:
    """Replace the hashes of test rows in the shared database by those without the erased rows."""
    if project.database is None:
        return
    from mlnb.engine.shared_accesses import exchange_rows  # most projects share no database

    if not exchange_rows(project.database, project.store_root):
        raise ProjectError(
            "The rows are erased here, but the shared database may have hashes of them still: it cannot be reached. "
            "`mlnb erase --resume` tries again."
        )


def _move(source: Path, target: Path) -> None:
    make_folder(target.parent)
    os.replace(source, target)


def _apply(path: Path, staged: str, folder: Path) -> None:
    """Replace a file by a staged one, or remove it without; what was done before a kill stays as it is."""
    if not staged:
        with suppress(PermissionError):
            delete_folder(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        if os.path.lexists(path):
            raise ProjectError(f"{path} cannot be deleted; make it writable. `mlnb erase --resume` continues.")
    elif (folder / staged).exists():
        mode = path.stat().st_mode & 0o777 if path.exists() else PRIVATE
        os.chmod(folder / staged, mode)
        os.replace(folder / staged, path)


def _links(project: Project, journal: Journal) -> Iterator[HeadLink]:
    """Yield the heads before and after of each chain and of labels."""
    for before in journal.heads:
        path = project.store_root / before.file
        if path.suffix == ".db":
            head = read_head(path)
            after = make_head(project, path, head.number, head.digest)
        else:
            after = make_head(project, path, *chain_head(path))
        yield HeadLink(before=before, after=after)


def _upload(project: Project, journal: Journal) -> None:
    """Copy segments and chains that were written again to object storage, and delete those that were deleted."""
    if not journal.uploads and not journal.removals:
        return
    import fsspec

    try:
        for path, model in journal.uploads.items():
            storage, folder = fsspec.core.url_to_fs(shipped(project, model))
            storage.put_file(str(project.root / path), f"{folder.rstrip('/')}/{Path(path).name}")
        for path, model in journal.removals.items():
            storage, folder = fsspec.core.url_to_fs(shipped(project, model))
            target = f"{folder.rstrip('/')}/{Path(path).name}"
            if storage.exists(target):
                storage.rm_file(target)
    except Exception as error:  # each file system raises other errors
        raise ProjectError(
            f"The rows are erased here, but object storage has them still: {error}. `mlnb erase --resume` tries again."
        ) from error
