"""Objects of the store that hold selected rows: tables by condition, what was made of them, and others by text."""

import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.codec import decode
from mlnb.engine.confined_names import is_digest
from mlnb.engine.interactive_stage import FOLDER as INTERACTIVE
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord, StageResult, StoredResult
from mlnb.engine.runs import DRAFT, Run
from mlnb.engine.stage_files import REPORT, StageReport, read_record
from mlnb.erasure.conditions import Selection
from mlnb.erasure.file_contents import NUMPY, PARQUET, ContentSearch, read_rows
from mlnb.errors import MlnbError, SchemaError

if TYPE_CHECKING:
    import pandas as pd

LEAST_ALIGNED = 10  # rows from which on a list of as many items is one item per row


UNUSED = "not used by a run"


class StageUse(NamedTuple):
    """One execution of a stage: digests that it has read, None when they are not recorded, and what it made."""

    run: str
    stage: str
    reads: frozenset[str] | None
    outputs: dict[str, OutputRecord]


class StoredRows(NamedTuple):
    """The objects that hold selected rows.

    Args:
        tables: Number of selected rows by the digest of each table that has the columns of the conditions.
        derived: Digests of objects that were made row by row from these tables.
        texts: Digests of objects that hold a value, a row or a word of the selected rows.
        names: What each object is, for display.
        stages: Stages by run that read or made one of the objects that have rows.
    """

    tables: dict[str, int]
    derived: set[str]
    texts: set[str]
    names: dict[str, list[str]]
    stages: set[tuple[str, str]]

    @property
    def objects(self) -> set[str]:
        """All of them."""
        return {*self.tables, *self.derived, *self.texts}


def object_paths(project: Project) -> dict[str, Path]:
    """Return the file of each object in the store, by digest."""
    files = (project.store_root / "objects").glob("*/*")
    return {name: path for path in files if is_digest(name := path.parent.name + path.name)}


def stage_uses(project: Project, runs: Iterable[Run]) -> list[StageUse]:
    """Return every execution of a stage in the records of runs and of drafts."""
    uses = []
    for run in runs:
        for name, stage in run.stages.items():
            reads = frozenset(digest for digest in stage.reads.values() if digest)
            uses.append(StageUse(run.id, name, reads, dict(stage.outputs)))
    folders = [project.runs / DRAFT, *project.runs.glob(f"*/{INTERACTIVE}")]
    for path in (path for folder in folders for path in folder.glob(f"*{REPORT}")):
        if (report := read_record(StageReport, path)) is not None:
            where = path.parent.relative_to(project.runs).as_posix()
            uses.append(StageUse(where, path.name.removesuffix(REPORT), None, dict(report.outputs)))
    return uses


def find_tables(
    paths: Iterable[Path], selection: Selection, collect: Callable[["pd.DataFrame", Any], None]
) -> dict[str, int]:
    """Return the number of selected rows by table; `collect` gets each table with the columns of a condition."""
    counts = {}
    for path in paths:
        with path.open("rb") as file:
            if file.read(len(PARQUET)) != PARQUET:
                continue
        table = read_rows(path.read_bytes())
        matches = selection.matches(table) if table is not None else None
        if table is None or matches is None:
            continue
        collect(table, matches)
        if matches.any():
            counts[path.parent.name + path.name] = int(matches.sum())
    return counts


def find_stored_rows(
    project: Project, uses: list[StageUse], search: ContentSearch, tables: dict[str, int]
) -> StoredRows:
    """Return the objects that hold selected rows.

    Args:
        project: The project.
        uses: From `stage_uses`.
        search: The conditions, and the values that only the selected rows have.
        tables: From `find_tables`.
    """
    paths = object_paths(project)
    names: dict[str, list[str]] = {}
    for use in uses:
        for artifact, output in use.outputs.items():
            for digest, suffix in _parts(project, output):
                names.setdefault(digest, []).append(f"{use.run}: {artifact}{suffix}")
    texts = {
        digest
        for digest, path in paths.items()
        if digest not in tables and search.holds(path.read_bytes(), _last_name(names.get(digest, [])))
    }
    unused = {
        digest: OutputRecord(digest=digest, format="", bytes=0, description="") for digest in paths.keys() - names
    }
    with_rows = {*tables, *(digest for digest in texts if _count(paths[digest]) is not None)}
    derived = _derived(project, [*uses, StageUse(UNUSED, "", None, unused)], with_rows, paths) - with_rows
    held = with_rows | derived
    for result in _results(project):
        if held & {output.digest for output in result.outputs.values()} and result.notebook in paths:
            derived.add(result.notebook)
            names.setdefault(result.notebook, []).append(f"{result.run}: executed notebook")
    stages = {
        (use.run, use.stage)
        for use in uses
        if held & {*(use.reads or ()), *(each.digest for each in use.outputs.values())}
    }
    return StoredRows(tables, derived - texts, texts, names, stages)


def _results(project: Project) -> Iterator[StageResult]:
    """Yield the stored result of each stage key."""
    for path in sorted((project.store_root / "keys").glob("*.json")):
        with suppress(SchemaError, OSError):  # damaged: `mlnb verify` reports it
            yield decode(StoredResult, path.read_bytes(), str(path)).result


def _last_name(names: list[str]) -> str:
    return names[0].rpartition(": ")[2] if names else ""


def _parts(project: Project, output: OutputRecord) -> Iterator[tuple[str, str]]:
    """Yield the objects of an artifact: itself, or the files of a folder, each with its path there."""
    if output.format != "tree":
        yield output.digest, ""
        return
    try:
        listing = project.store.read_listing(output.digest) if project.store.path(output.digest).exists() else {}
    except MlnbError:
        listing = {}  # damaged: `mlnb verify` reports it
    yield from ((digest, f"/{name}") for name, digest in listing.items())


def _derived(project: Project, uses: list[StageUse], holding: set[str], paths: dict[str, Path]) -> set[str]:
    """Return the objects with as many items as a table with selected rows that their stage has read or made.

    Where it is not recorded what a stage has read, as of drafts, it may have read every table with selected rows.
    """
    lengths: dict[str, int | None] = {}

    def length(digest: str) -> int | None:
        if digest not in lengths:
            lengths[digest] = _count(paths[digest]) if digest in paths else None
        return lengths[digest]

    affected, changed = {*holding}, True
    while changed:
        changed = False
        for use in uses:
            outputs = {output.digest for output in use.outputs.values()}
            near = affected if use.reads is None else affected & {*use.reads, *outputs}
            counts = {count for digest in near if (count := length(digest)) is not None}
            if not counts:
                continue
            parts = [digest for output in use.outputs.values() for digest, _ in _parts(project, output)]
            new = {
                each
                for each in parts
                if each in paths
                and each not in affected
                and (use.run != UNUSED or length(each) is not None)
                and _is_aligned(paths[each], length(each), counts)
            }
            affected |= new
            changed |= bool(new)
    return affected


def _count(path: Path) -> int | None:
    """Return the number of rows of a table or array; None for anything else."""
    with path.open("rb") as file:
        start = file.read(len(NUMPY))
        file.seek(0)
        if start[:4] == PARQUET:
            from pyarrow import ArrowException, parquet

            try:
                return int(parquet.read_metadata(file).num_rows)
            except (ArrowException, OSError):
                return None
        if start == NUMPY:
            import numpy as np

            try:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape = read(file)[0]
            except ValueError:
                return None
            return int(shape[0]) if shape else None
    return None


def _is_aligned(path: Path, count: int | None, counts: set[int]) -> bool:
    """Return whether an object has one item for each row: a table, an array, or a list in JSON, as of a kNN model."""
    if count is not None:
        return count in counts
    with path.open("rb") as file:
        if file.read(1) not in (b"{", b"["):
            return False
    try:
        value = json.loads(io.BytesIO(path.read_bytes()).read())
    except (ValueError, RecursionError):
        return False
    return any(len(each) in counts and len(each) >= LEAST_ALIGNED for each in _lists(value))


def _lists(value: Any) -> Iterator[list[Any]]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, list):
            yield item
            waiting += [part for part in item if isinstance(part, dict | list)]
