"""The versions of data that the runs of a project have read, by the digest of what the source held."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import StrEnum

from mlnb.codec import Record
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.runs import SHORTEST, Run, list_runs
from mlnb.engine.tombstones import erased_object
from mlnb.errors import UnknownRun
from mlnb.registry.run_references import open_referenced
from mlnb.suggestions import did_you_mean
from mlnb.tracking.artifact_views import View, load_view

RAW, PROVENANCE = "raw", "provenance"  # artifacts of the stages that read a source


class VersionState(StrEnum):
    """Where the rows of a version are."""

    STORED = "stored"  # in the local store
    REMOTE = "remote"  # not here; the project has a remote store to pull them from
    MISSING = "missing"
    ERASED = "erased"


class Provenance(View, frozen=True, kw_only=True):
    """What a run knows about its source.

    Args:
        digest: SHA-256 of its bytes; of a database or a data set, of the table.
        source: its name without secrets.
        format: such as csv.
        rows, columns: number of rows, and names of the columns.
        bytes: its size; None where it is no file.
        separator: of delimited text.
    """

    digest: str
    source: str = ""
    format: str = ""
    rows: int = 0
    columns: tuple[str, ...] = ()
    bytes: int | None = None
    separator: str = ","


class DataVersion(Record, frozen=True, kw_only=True):
    """One version of data.

    Args:
        digest: SHA-256 of the bytes of the source; of a database or a data set, of the table.
        source: the source without secrets, as the newest run names it.
        format: of the source, such as csv.
        rows, columns: size of the table that was read.
        bytes: size of the source; None where it is no file.
        stored_bytes: size of the table in the store.
        runs: number of runs that have read it.
        first, last: ids of the oldest and the newest of them.
        first_read, last_read: when they started, ISO 8601 in UTC.
        raw: digest of each table in the store that was made of it, the newest first: they differ in how it was read.
        state: where its rows are.
        erased: when, by whom and why the rows were erased; empty when they were not.
    """

    digest: str
    source: str
    format: str
    rows: int
    columns: int
    bytes: int | None
    stored_bytes: int
    runs: int
    first: str
    last: str
    first_read: str
    last_read: str
    raw: tuple[str, ...]
    state: VersionState
    erased: str = ""


class SourceRead(Record, frozen=True, kw_only=True):
    """What one run has read: its provenance, and the record of the table."""

    run: str
    started: str
    provenance: Provenance
    raw: OutputRecord


def read_sources(runs: Iterable[Run]) -> list[SourceRead]:
    """Return what each run has read, in the order of the runs; runs that have read no source are left out."""
    views: dict[str, Provenance | None] = {}  # many runs share one
    reads = []
    for run in runs:
        raw, provenance = run.output(RAW), run.output(PROVENANCE)
        if raw is None or provenance is None:
            continue
        if provenance.digest not in views:
            views[provenance.digest] = load_view(run, PROVENANCE, Provenance)
        if (view := views[provenance.digest]) is not None:
            reads.append(SourceRead(run=run.id, started=run.record.started, provenance=view, raw=raw))
    return reads


def list_versions(project: Project) -> list[DataVersion]:
    """Return the versions of data that the runs of a project have read, those read last first."""
    groups: dict[str, list[SourceRead]] = {}
    for read in read_sources(list_runs(project)):
        groups.setdefault(read.provenance.digest, []).append(read)
    return [_version(project, reads) for reads in groups.values()]


def _version(project: Project, reads: Sequence[SourceRead]) -> DataVersion:
    """Return the version that some runs, newest first, have read."""
    newest, oldest = reads[0], reads[-1]
    raw = tuple(dict.fromkeys(read.raw.digest for read in reads))
    state, erased = _state(project, raw)
    return DataVersion(
        digest=newest.provenance.digest,
        source=newest.provenance.source,
        format=newest.provenance.format,
        rows=newest.provenance.rows,
        columns=len(newest.provenance.columns),
        bytes=newest.provenance.bytes,
        stored_bytes=newest.raw.bytes,
        runs=len(reads),
        first=oldest.run,
        last=newest.run,
        first_read=oldest.started,
        last_read=newest.started,
        raw=raw,
        state=state,
        erased=erased,
    )


def _state(project: Project, raw: Iterable[str]) -> tuple[VersionState, str]:
    """Return where the rows of a version are, and how they were erased."""
    for digest in raw:
        if project.store.path(digest).exists():
            return VersionState.STORED, ""
        if (erasure := erased_object(project.store.root, digest)) is not None:
            return VersionState.ERASED, erasure.describe()
    return (VersionState.REMOTE if project.store.remote is not None else VersionState.MISSING), ""


def find_version(project: Project, reference: str) -> DataVersion:
    """Return a version.

    Args:
        project: The project.
        reference: Its digest or a unique start of it; a run, "latest", or a model version such as @champion.

    Raises:
        UnknownRun: No version, or more than one, has that name, or the run has read no data.
    """
    versions = list_versions(project)
    if not versions:
        raise UnknownRun(f"No run in {project.runs} has read data. Start one: `mlnb run`.")
    matches = [one for one in versions if one.digest.startswith(reference)] if len(reference) >= SHORTEST else []
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UnknownRun(f"{len(matches)} data versions start with {reference!r}; expected more of the digest.")
    run: Run | None = None
    with suppress(UnknownRun):
        run = open_referenced(project, reference)
    if run is not None:
        digests = [read.provenance.digest for read in read_sources([run])]
        if not digests:
            raise UnknownRun(f"Run {run.id} has read no data; `mlnb data` lists the versions and their runs.")
        return next(one for one in list_versions(project) if one.digest == digests[0])  # the run may just be pulled
    hint = did_you_mean(reference, [one.digest for one in versions])
    raise UnknownRun(
        f"No data version or run is called {reference!r}; the newest version is {versions[0].digest[:12]}.{hint} "
        "`mlnb data` lists them."
    )
