"""Selected rows in prediction logs and labels, and their removal; the chain of each is written again."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.engine.files import PRIVATE, write_whole
from mlnb.erasure.conditions import Selection
from mlnb.errors import UsageError
from mlnb.monitoring.labels import EVENTS, ORIGIN, TABLES, LabelEvent, LabelHead, has_table, read_events, read_head
from mlnb.monitoring.production_heads import read_chain
from mlnb.serving.runtime.log_segments import CHAIN, ChainEntry, chain_path, read_lines, to_table
from mlnb.serving.runtime.log_segments import ORIGIN as FIRST

if TYPE_CHECKING:
    import pandas as pd

Position = tuple[str, int | str]  # request, and row or name of a label


class SegmentRows(NamedTuple):
    """A segment of a prediction log with selected rows.

    Args:
        path: its file.
        table: all of its rows.
        matches: for each of them whether it is selected.
        is_open: whether it is still being written.
    """

    path: Path
    table: "pd.DataFrame"
    matches: Any
    is_open: bool


def read_segment(path: Path) -> "pd.DataFrame":
    """Return the rows of a segment. Raises `UsageError` when it is damaged."""
    import pandas as pd

    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else to_table(read_lines(path)[0]).to_pandas()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} is damaged, so its rows cannot be searched: {error}. Delete or restore it."
        ) from error


def find_segments(folder: Path, selection: Selection) -> Iterator[SegmentRows]:
    """Yield the segments of a prediction log in which rows are selected."""
    for path in sorted((*folder.glob("*.parquet"), *folder.glob("*.jsonl"))):
        table = read_segment(path)
        matches = match_log(table, selection)
        if matches is not None and matches.any():
            yield SegmentRows(path, table, matches, path.suffix == ".jsonl")


def match_log(table: "pd.DataFrame", selection: Selection) -> Any:
    """Return which rows of a log are selected: also the later steps of a request whose history is; None: no column."""
    matches = selection.matches(table)
    if matches is None or not matches.any():
        return matches
    refused = (table["row"] < 0).to_numpy()
    return matches & ~refused


def positions(segments: Iterable[SegmentRows]) -> set[Position]:
    """Return request and row of each selected row."""
    return {
        (str(request), int(row))
        for segment in segments
        for request, row in segment.table.loc[segment.matches, ["request", "row"]].itertuples(index=False)
    }


def without_rows(segment: SegmentRows) -> bytes:
    """Return the bytes of a finished segment without its selected rows."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = parquet.read_table(segment.path)
    sink = pa.BufferOutputStream()
    parquet.write_table(table.filter(pa.array(~segment.matches)), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def find_labels(database: Path, rows: set[Position], selection: Selection) -> list[int]:
    """Return the numbers of the label events of removed rows, and of series and items that a condition names."""
    values = selection.values()
    return [
        event.number
        for event in read_events(database)
        if (event.request, event.row) in rows or _is_named(event.row, values)
    ]


def _is_named(row: int | str, values: set[str]) -> bool:
    """Return whether the position of a label, such as a series or an item, has the value of a condition."""
    if not isinstance(row, str):
        return False
    with suppress(ValueError):
        fields = json.loads(row)
        texts = {str(text) for field in fields.values() for text in (field if isinstance(field, list) else [field])}
        return bool(texts & values) if isinstance(fields, dict) else False
    return row in values


def rewrite_chain(path: Path, replaced: Mapping[str, tuple[int, str]], staged: Path) -> None:
    """Write a chain again with other rows and digests of some segments; repeated after a kill, it does the same.

    The file stays the same one, as processes that add to it wait for its lock.

    Args:
        path: The chain.
        replaced: Rows and digest by the name of the segment.
        staged: Where the whole new chain is kept until it is written.
    """
    with path.open("r+b") as file:
        with suppress(ImportError):  # Windows has no flock
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        current: list[ChainEntry] = []
        with suppress(ValueError):  # a part of a line, of a write that was interrupted
            current = read_chain(path)
        entries = read_chain(staged) if staged.exists() else []
        names = {entry.segment for entry in entries}
        entries += [entry for entry in current if entry.segment not in names]
        data = b"".join(entry.line() for entry in _linked(entries, replaced))
        write_whole(staged, data, PRIVATE)
        file.seek(0)
        file.write(data)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    staged.unlink()


def _linked(entries: Iterable[ChainEntry], replaced: Mapping[str, tuple[int, str]]) -> Iterator[ChainEntry]:
    previous = FIRST
    for entry in entries:
        rows, digest = replaced.get(entry.segment, (entry.rows, entry.digest))
        linked = ChainEntry(entry.segment, rows, digest, previous)
        previous = linked.own_digest
        yield linked


def chain_head(path: Path) -> tuple[int, str]:
    """Return the number of entries of a chain, and the digest of the last."""
    entries = read_chain(path)
    return (len(entries), entries[-1].own_digest) if entries else (0, FIRST)


def remove_labels(database: Path, requests: Iterable[Position], names: Iterable[str]) -> LabelHead:
    """Remove label events in one transaction; the others keep their order and get new digests; return the new head.

    Args:
        database: The labels of a model.
        requests: Request and position of the events that are removed.
        names: Positions, such as a series, that are removed in all requests.
    """
    gone, named = set(requests), set(names)
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        try:
            if has_table(connection, EVENTS):
                _rewrite_events(connection, gone, named)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        connection.execute("VACUUM")
    return read_head(database)


def _rewrite_events(connection: sqlite3.Connection, gone: set[Position], named: set[str]) -> None:
    lines = connection.execute(f"SELECT * FROM {EVENTS} ORDER BY number").fetchall()
    events = [LabelEvent(*line) for line in lines]
    remaining = [event for event in events if (event.request, event.row) not in gone and event.row not in named]
    if len(remaining) == len(events):
        return
    connection.execute(f"DROP TABLE {EVENTS}")  # with its triggers, which refuse changes
    for statement in TABLES:
        connection.execute(statement)
    previous = ORIGIN
    for number, event in enumerate(remaining, start=1):
        renumbered = event._replace(number=number)
        previous = renumbered.expected_digest(previous)
        connection.execute(f"INSERT INTO {EVENTS} VALUES (?, ?, ?, ?, ?, ?, ?)", (*renumbered[:-1], previous))


def chains(folder: Path) -> list[Path]:
    """Return the chains of a prediction log."""
    return sorted(folder.glob(f"*{CHAIN}"))


def chain_of(segment: Path) -> Path | None:
    """Return the chain that names a segment; None for one of an earlier version."""
    path = chain_path(segment)
    return path if path.exists() else None
