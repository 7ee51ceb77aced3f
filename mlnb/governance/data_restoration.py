"""A version of data as a file again: the bytes of its source where they still exist, else the table of the store.

A table is written to a temporary file, read back as the stage `ingest` reads it, and compared before it is moved.
"""

import hashlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import pandas as pd

from mlnb.codec import Record, replace
from mlnb.engine.digests import digest_file
from mlnb.engine.files import copy_whole, make_folder, temporary_path
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import DataError, StoreCorrupted, UsageError
from mlnb.governance.data_versions import PROVENANCE, DataVersion, Provenance, VersionState
from mlnb.governance.restored_files import RestoredFile, describe_restoration, record_path, record_restored
from mlnb.governance.typed_versions import stored_table
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.tables.data_sources import digest_table, place_source, read_table
from mlnb.methods.tables.dvc_pointers import cached_contents, digest_contents, write_pointer
from mlnb.methods.tables.file_sets import find_parts
from mlnb.methods.tables.layouts import BLANKS, SEPARATORS
from mlnb.tracking.artifact_views import load_record, load_view

STORE = "store"  # origin of a file that was written from a table
REMOVED = ("drop", "mask", "pseudonymize")  # declared for personal data: the store does not have the values


class Equality(StrEnum):
    """How a restored file compares with the source that was read."""

    BYTES = "byte-equal"  # it has the digest of the version
    TABLE = "table-equal"  # it is read as the same table


class RestoredVersion(Record, frozen=True, kw_only=True):
    """A restored file.

    Args:
        version: digest of the version.
        path: the file.
        equality: how it compares with the source.
        origin: the file that it was copied from, or "store".
        rows, bytes: its size.
        protected: columns with personal data whose values the store does not have.
        pointer: its pointer of DVC; None without one.
    """

    version: str
    path: str
    equality: Equality
    origin: str
    rows: int
    bytes: int
    protected: tuple[str, ...] = ()
    pointer: str | None = None


def restore_version(
    project: Project, version: DataVersion, path: Path, force: bool = False, dvc: bool = False
) -> RestoredVersion:
    """Write a version to a file.

    Args:
        project: The project.
        version: From `find_version`.
        path: The file; the suffix is the format: .csv, .tsv or .parquet.
        force: Whether an existing file is replaced.
        dvc: Whether a pointer of DVC is written next to the file.

    Raises:
        UsageError: The file exists, its folder does not, or the suffix is another one.
        DataError: The version was erased, or is neither here nor in the remote store.
        StoreCorrupted: Its bytes in the store are damaged.
        ProjectError: The file cannot be recorded in the store.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--to {path}: found the suffix {path.suffix!r}; expected one of {', '.join(WRITERS)}.")
    if path.exists() and not force:
        raise UsageError(f"{path} exists; name another file, or replace it with --force.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--to {path}: there is no folder {str(path.parent)!r}; create it, or name another file.")
    if version.state == VersionState.ERASED:  # also where the source still has the rows
        raise DataError(
            f"Data version {version.digest[:12]} was erased on {version.erased}; an erased version is not restored."
        )
    run = open_run(project, version.last)
    source = _find_source(project, run, version.digest)
    if source is not None and source.suffix.lower() != path.suffix.lower():
        source = None
    own = source is not None and path.exists() and source.samefile(path)  # it stays the user's file
    record = describe_restoration(project, path, version.digest, version.raw)
    is_new = not record_path(project, record).exists()
    record_restored(project, record)
    try:
        restored = _copy_source(version, source, path, own) if source else _write_stored(project, run, version, path)
    except BaseException:
        if is_new:
            record_path(project, record).unlink(missing_ok=True)
        raise
    record = replace(record, digest="" if own else digest_file(path))
    record_restored(project, record)
    return replace(restored, pointer=str(_point(project, record, path))) if dvc else restored


def _point(project: Project, record: RestoredFile, path: Path) -> Path:
    """Write the pointer of DVC, after a record with the contents that it refers to; return the pointer."""
    md5 = digest_contents(path)
    copies = cached_contents(path.with_name(f"{path.name}.dvc"), md5)
    cached = record.cached if record.md5 == md5 else False
    record_restored(project, replace(record, md5=md5, cached=cached or not any(copy.exists() for copy in copies)))
    return write_pointer(path)


def _copy_source(version: DataVersion, source: Path, path: Path, own: bool) -> RestoredVersion:
    """Copy the source of a version, which has its bytes; `own`: it is the file itself."""
    if not own:
        copy_whole(source, path)
    return _describe(version, path, Equality.BYTES, str(source))


def _write_stored(project: Project, run: Run, version: DataVersion, path: Path) -> RestoredVersion:
    """Write the table of the store to a file."""
    table = stored_table(project, version)
    provenance = load_view(run, PROVENANCE, Provenance) or Provenance(digest=version.digest)
    equality = _write(table, provenance, path)
    declared = load_record(run, "declarations", Declarations)
    hidden = [name for name, one in declared.columns.items() if one.personal in REMOVED] if declared else []
    return replace(_describe(version, path, equality, STORE), protected=tuple(hidden))


def _describe(version: DataVersion, path: Path, equality: Equality, origin: str) -> RestoredVersion:
    size = path.stat().st_size
    return RestoredVersion(
        version=version.digest, path=str(path), equality=equality, origin=origin, rows=version.rows, bytes=size
    )


def _find_source(project: Project, run: Run, digest: str) -> Path | None:
    """Return the file that a run has read, when it still has the bytes of the version; of several files None."""
    for source in local_sources(run):
        try:
            parts = find_parts(place_source(source, str(project.root)))
        except (OSError, ValueError):
            continue
        path = Path(parts[0].path)
        if len(parts) == 1 and path.is_file() and digest_file(path) == digest:
            return path
    return None


def local_sources(run: Run) -> Iterator[str]:
    """Yield the local files that parameters of a run name as data."""
    for stage in run.stages.values():
        value = stage.parameters["data"].value if "data" in stage.parameters else None
        if isinstance(value, str) and value and ":" not in value and "${" not in value:
            yield value


def _write(table: pd.DataFrame, provenance: Provenance, path: Path) -> Equality:
    """Write a table to a file, when it is read back as the same one; return how it compares with the source.

    Raises:
        UsageError: The format cannot hold the table.
    """
    folder = path.absolute().parent
    make_folder(folder)
    temporary = temporary_path(folder)
    temporary = temporary.with_name(f"{temporary.name}{path.suffix.lower()}")
    try:
        WRITERS[path.suffix.lower()](table, provenance, temporary)
        equality = Equality.BYTES if _digest(temporary) == provenance.digest else Equality.TABLE
        if equality is Equality.TABLE and not _reads_as(temporary, table):
            raise UsageError(
                f"{path.suffix} cannot hold this table: read again, it differs in values or types. "
                f"Write Parquet: --to {path.with_suffix('.parquet')}"
            )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return equality


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reads_as(path: Path, table: pd.DataFrame) -> bool:
    """Return whether a file is read as a table."""
    try:
        again, _ = read_table(str(path), header="yes" if path.suffix in (".csv", ".tsv") else "auto")
    except (DataError, StoreCorrupted):
        return False
    return list(again.columns) == list(table.columns) and digest_table(again) == digest_table(table)


def _write_delimited(table: pd.DataFrame, provenance: Provenance, path: Path) -> None:
    separator = "," if provenance.separator == BLANKS else SEPARATORS.get(provenance.separator, provenance.separator)
    separator = "\t" if path.suffix == ".tsv" else separator
    table.to_csv(path, sep=separator, index=False, encoding="utf-8", lineterminator="\n")


def _write_parquet(table: pd.DataFrame, provenance: Provenance, path: Path) -> None:
    table.to_parquet(path, compression="zstd")


WRITERS: dict[str, Callable[[pd.DataFrame, Provenance, Path], None]] = {
    ".csv": _write_delimited,
    ".tsv": _write_delimited,
    ".parquet": _write_parquet,
}
