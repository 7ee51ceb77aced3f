"""Restored versions of data that hold selected rows: their files, also outside of the project, and DVC's copies."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.engine.digests import digest_file
from mlnb.engine.files import TEMPORARY
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.erasure.conditions import Selection
from mlnb.erasure.file_contents import ContentSearch
from mlnb.erasure.file_search import Action, Location, holds
from mlnb.erasure.stored_rows import StoredRows
from mlnb.errors import DataError, StoreCorrupted
from mlnb.governance.data_restoration import local_sources
from mlnb.governance.data_versions import read_sources
from mlnb.governance.restored_files import RestoredFile, list_restored, record_path
from mlnb.methods.tables.data_sources import place_source, read_table
from mlnb.methods.tables.dvc_pointers import cached_contents, read_pointer
from mlnb.methods.tables.file_sets import find_parts

if TYPE_CHECKING:
    import pandas as pd

DVC_CACHE = "cache of DVC"  # what a copy there is
HEADERS = ("auto", "yes")  # how a restored file is read: as its source was, or as one that was written from a table


class Restored(NamedTuple):
    """A restored file and its copies.

    Args:
        record: of the restoration.
        path: the file.
        pointer: of DVC, next to the file.
        copies: those in the cache of DVC.
        unfinished: parts of files that a killed restoration may have left next to it.
        selected: which of all these are tables with selected rows.
        digests: that the file had after one of its restorations.
    """

    record: RestoredFile
    path: Path
    pointer: Path
    copies: tuple[Path, ...]
    unfinished: tuple[Path, ...]
    selected: frozenset[Path]
    digests: frozenset[str]


class RestoredRows(NamedTuple):
    """What an erasure does with restored files.

    Args:
        locations: files with selected rows.
        moved: files that had them, and are not where they were written.
        records: files of records that are not needed any more.
    """

    locations: list[Location]
    moved: list[Path]
    records: list[Path]


def read_restored_files(
    project: Project, selection: Selection, collect: Callable[["pd.DataFrame", Any], None]
) -> list[Restored]:
    """Return the restored files of a project; `collect` gets each that is a table with the columns of a condition."""
    records, result = [*list_restored(project)], []
    for record in records:
        digests = frozenset(each.digest for each in records if each.path == record.path)
        path = project.root / record.path
        pointer = path.with_name(f"{path.name}.dvc")
        copies = [copy for copy in cached_contents(pointer, record.md5) if copy.is_file()] if record.md5 else []
        unfinished = [] if record.digest else [part for part in path.parent.glob(f"{TEMPORARY}*") if part.is_file()]
        selected = {
            each for each in (path, *copies, *unfinished) if _is_selected(each, path.suffix, selection, collect)
        }
        result.append(Restored(record, path, pointer, tuple(copies), tuple(unfinished), frozenset(selected), digests))
    return result


def _is_selected(path: Path, suffix: str, selection: Selection, collect: Callable[["pd.DataFrame", Any], None]) -> bool:
    """Return whether a file is a table in which rows are selected; a copy in a cache has no suffix."""
    if not path.is_file():
        return False
    with tempfile.TemporaryDirectory(prefix="mlnb-erase-") as folder:
        link = Path(folder) / f"table{suffix}"
        link.symlink_to(path.absolute())
        for header in HEADERS:
            try:
                table, _ = read_table(str(link), header=header)
            except (DataError, StoreCorrupted, OSError, ValueError):
                continue
            matches = selection.matches(table)
            if matches is not None:
                collect(table, matches)
                return bool(matches.any())
    return False


def find_restored(
    project: Project, files: Iterable[Restored], runs: list[Run], search: ContentSearch, stored: StoredRows
) -> RestoredRows:
    """Return what becomes of restored files.

    Those that are as they were written are deleted, with the copy and the pointer of DVC that were written with them.
    Others stay: the user has changed them, or a run reads them as its data.

    Args:
        project: The project.
        files: From `read_restored_files`.
        runs: All runs.
        search: The conditions and terms.
        stored: The objects of the store that hold selected rows.
    """
    versions = {read.provenance.digest for read in read_sources(runs) if read.raw.digest in stored.objects}
    sources = {*_source_paths(project, runs)}
    locations: dict[Path, Location] = {}
    result = RestoredRows([], [], [])
    for one in files:
        has_rows = one.record.version in versions or bool({*one.record.tables} & stored.objects)
        matches = [*_locations(one, has_rows, sources, search, stored)]
        locations |= {
            location.path: location
            for location in matches
            if location.path not in locations or location.action == Action.DELETE
        }
        is_gone = not os.path.lexists(one.path) and one.path.parent.is_dir()
        if is_gone and has_rows:
            result.moved.append(one.path)
        if ((is_gone and has_rows) or matches) and all(location.action == Action.DELETE for location in matches):
            result.records.append(record_path(project, one.record))
    result.locations.extend(sorted(locations.values()))
    return result


def _locations(
    one: Restored, has_rows: bool, sources: set[Path], search: ContentSearch, stored: StoredRows
) -> Iterator[Location]:
    """Yield the file, its copies and its pointer where they hold selected rows."""
    if has_rows and not one.path.parent.is_dir():
        yield Location(one.path, "restored file, in a folder that is missing", Action.BY_HAND)
    digest = digest_file(one.path) if one.path.is_file() else ""
    is_read = bool({one.path.resolve(), one.pointer.resolve()} & sources)
    deleted = False
    is_own = digest in one.digests
    if digest and ((is_own and has_rows) or one.path in one.selected or _holds(one.path, search, stored)):
        if is_read:
            yield Location(one.path, "restored file that runs read", Action.BY_HAND)
        elif not is_own:
            yield Location(one.path, "restored file, changed since", Action.BY_HAND)
        else:
            deleted = True
            yield _removal(one.path, "restored file", digest)
    for copy in one.copies:
        if copy in one.selected or _holds(copy, search, stored):
            stays = is_read or not one.record.cached
            yield (Location(copy, DVC_CACHE, Action.BY_HAND) if stays else _removal(copy, DVC_CACHE, digest_file(copy)))
            deleted |= not stays
    for part in one.unfinished:
        if part in one.selected or _holds(part, search, stored):
            yield _removal(part, "unfinished restored file", digest_file(part))
    if deleted and _points_to(one.pointer, one.record.md5):
        yield _removal(one.pointer, "pointer of DVC", digest_file(one.pointer))


def _holds(path: Path, search: ContentSearch, stored: StoredRows) -> bool:
    return holds(path.resolve(), search, stored)


def _removal(path: Path, what: str, digest: str) -> Location:
    """Return the location of a file that is deleted, where that is possible."""
    if not os.access(path.parent, os.W_OK):
        return Location(path, f"{what}, in a folder without write access", Action.BY_HAND)
    if path.is_symlink():  # DVC may link it to its cache
        return Location(path, f"link to a {what}", Action.DELETE)
    return Location(path, what, Action.DELETE, digest)


def _points_to(pointer: Path, md5: str) -> bool:
    with suppress(OSError, ValueError):
        return bool(md5) and read_pointer(pointer).digest == md5
    return False


def _source_paths(project: Project, runs: Iterable[Run]) -> Iterator[Path]:
    """Yield the files that runs have read as their data."""
    for value in sorted({value for run in runs for value in local_sources(run)}):
        source = place_source(value, str(project.root))
        yield Path(source).resolve()
        with suppress(OSError, ValueError):
            yield from (Path(part.path).resolve() for part in find_parts(source))
