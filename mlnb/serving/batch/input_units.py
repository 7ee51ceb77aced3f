"""The files to score, split into units that one process can score alone, always in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import IO, Protocol

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from mlnb.errors import UsageError
from mlnb.methods.contracts.table_formats import Layout
from mlnb.methods.tables.databases import missing_driver
from mlnb.methods.tables.layouts import BLANKS, TAIL, columns_of, cut_footer
from mlnb.serving.batch.csv_files import find_start, read_blocks, read_layout

BLOCK = 8 * 2**20  # bytes of CSV in one unit
SLICE = 131_072  # rows of Parquet from which a row group is worth splitting
KINDS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}


class OpenFile(Protocol):
    """A file that a `with` statement opens and closes."""

    def __enter__(self) -> IO[bytes]: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...


@dataclass(frozen=True)
class InputFile:
    """One file of the input.

    Args:
        url: path or URL, as fsspec reads it.
        kind: "parquet" or "csv".
        compression: fsspec's name of it.
        version: changes when the file does.
        trained: CSV: layout of the training file; None: it was no delimited text.
        expected: names of the model's columns.
    """

    url: str
    kind: str
    compression: str | None
    version: str
    trained: Layout | None = None
    expected: tuple[str, ...] = ()

    @cached_property
    def layout(self) -> Layout:
        """Return how a CSV file is cut into cells."""
        with self.open() as file:
            return read_layout(file, self.url, self.trained, self.expected)

    def open(self) -> "OpenFile":
        """Return the file, opened for reading bytes in a `with` statement, which also closes what lies below."""
        if self.kind == "parquet" and "://" not in self.url:
            local: OpenFile = pa.OSFile(self.url)  # Parquet's reader needs no calls into Python
            return local
        remote: OpenFile = fsspec.open(self.url, "rb", compression=self.compression)
        return remote


@dataclass(frozen=True)
class Unit:
    """Some consecutive rows of one file, and how to read them.

    Args:
        file: index of the file in the input.
        next: where the unit after it starts: file and position.
        body: CSV: whole lines, as UTF-8.
        group: Parquet: the row group.
        slice: Parquet: first row in the group, and the one after the last.
    """

    file: int
    next: tuple[int, int]
    body: bytes | None = None
    group: int = 0
    slice: tuple[int, int] = (0, 0)


def find_files(patterns: list[str], trained: Layout | None = None, expected: tuple[str, ...] = ()) -> list[InputFile]:
    """Return the files that match the patterns, sorted within each.

    Args:
        patterns: paths, folders and globs, or their URLs.
        trained: layout of the training file; None: it was no delimited text.
        expected: names of the model's columns.

    Raises:
        UsageError: a pattern matches no file, or one of another format.
        MissingExtra: the library that reads such URLs is not installed.
    """
    files: list[InputFile] = []
    for pattern in patterns:
        try:
            system, path = fsspec.core.url_to_fs(pattern)
        except ImportError as error:
            raise missing_driver(pattern, error) from None
        if any(mark in path for mark in "*?["):
            paths = sorted(system.glob(path))
        elif system.isdir(path):
            paths = sorted(name for name in system.find(path) if _kind(name)[0])
        else:
            paths = [path] if system.exists(path) else []
        if not paths:
            raise UsageError(f"{pattern}: found no file, expected CSV or Parquet files, a folder or a glob of them.")
        for name in paths:
            kind, compression = _kind(name)
            if not kind:
                raise UsageError(f"{name}: found an unknown format, expected one of {', '.join(KINDS)}.")
            metadata = system.info(name)
            version = (metadata.get(field) for field in ("size", "mtime", "LastModified", "ETag", "etag"))
            url = name if "://" not in pattern else system.unstrip_protocol(name)
            files.append(InputFile(url, kind, compression, repr(tuple(map(str, version))), trained, expected))
    return files


def split_files(files: list[InputFile], start: tuple[int, int], workers: int) -> Iterator[Unit]:
    """Yield the units from a position on: the same units from the same position, whatever came before.

    Args:
        files: the input.
        start: index of a file, and position in it.
        workers: processes, between which large row groups are split.
    """
    for index in range(start[0], len(files)):
        position = start[1] if index == start[0] else 0
        if files[index].kind == "parquet":
            yield from _split_parquet(files[index], index, position, workers)
        else:
            yield from _split_csv(files[index], index, position)


def count_rows(files: list[InputFile]) -> int | None:
    """Return the number of rows when the metadata of all files has it, else None."""
    if any(file.kind != "parquet" for file in files):
        return None
    total = 0
    for file in files:
        with file.open() as opened:
            total += pq.ParquetFile(opened).metadata.num_rows
    return total


def _kind(name: str) -> tuple[str, str | None]:
    """Return format and compression by a file's name; an empty format when it is unknown."""
    stem, dot, suffix = name.lower().rpartition(".")
    compression = COMPRESSIONS.get(dot + suffix)
    if compression:
        stem, dot, suffix = stem.rpartition(".")
    kind = KINDS.get(dot + suffix, "")
    return (kind, compression) if not (compression and kind == "parquet") else ("", None)


def _split_parquet(file: InputFile, index: int, position: int, workers: int) -> Iterator[Unit]:
    """Yield row groups, large ones in slices; `position` counts these."""
    with file.open() as opened:
        metadata = pq.ParquetFile(opened).metadata
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    slices = []
    for group, count in enumerate(rows):
        pieces = max(1, min(-(-count // SLICE), workers))
        bounds = [count * piece // pieces for piece in range(pieces + 1)]
        slices += [(group, (bounds[i], bounds[i + 1])) for i in range(pieces)]
    for number, (group, bounds_) in enumerate(slices):
        after = (index, number + 1) if number + 1 < len(slices) else (index + 1, 0)
        if number >= position:
            yield Unit(index, after, group=group, slice=bounds_)


def _split_csv(file: InputFile, index: int, position: int) -> Iterator[Unit]:
    """Yield whole lines, split only outside quotes; `position` is in bytes of UTF-8, 0 means after the header."""
    if not position:
        with file.open() as opened:
            position = find_start(opened, file.layout)
    footer = file.trained is not None and file.trained.footer > 0
    cut, width = "," if file.layout.separator == BLANKS else file.layout.separator, len(columns_of(file.layout))
    with file.open() as opened:
        blocks, rest = read_blocks(opened, file.layout, position, BLOCK), b""
        while True:
            block = next(blocks, b"")
            text = rest + block
            # Where totals may be at the end, the last unit holds all lines that are examined for them.
            end = len(text) if not block else _last_whole_line(text, len(text) - TAIL * footer)
            if end:
                position += end
                after = (index, position) if block else (index + 1, 0)
                body = text[:end] if block or not footer else cut_footer(text, cut, width)[0]
                if body.strip():
                    yield Unit(index, after, body)
            rest = text[end:]
            if not block:
                return


def _last_whole_line(text: bytes, end: int) -> int:
    """Return where the last line before `end` ends that is outside quotes; 0 when there is none."""
    end = max(end, 0)
    while True:
        end = text.rfind(b"\n", 0, end)
        if end < 0:
            return 0
        if text.count(b'"', 0, end) % 2 == 0:
            return end + 1
