"""The files to score, cut into units that one process can score alone, always in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from mlnb.errors import MissingExtra, UsageError

BLOCK = 8 * 2**20  # bytes of CSV in one unit
SLICE = 131_072  # rows of Parquet from which a row group is worth cutting
KINDS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}
PACKED = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}


@dataclass(frozen=True)
class File:
    """One file of the input."""

    url: str  # path or URL, as fsspec reads it
    kind: str  # parquet or csv
    packed: str | None  # fsspec's name of the compression
    version: str  # changes when the file does

    @cached_property
    def header(self) -> bytes:
        """The first line of a CSV file, which names the columns."""
        with self.open() as file:
            line = bytes(file.readline()).removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            raise UsageError(f"{self.url}: found no header, expected a first line with the names of the columns.")
        return line.rstrip(b"\r\n") + b"\n"

    @property
    def separator(self) -> str:
        """What the header's names stand between: the most frequent of comma, semicolon, tab and bar."""
        text = self.header.decode("utf-8", "replace")
        return max(",;\t|", key=text.count)

    def open(self) -> Any:
        """Return what opens the file for reading bytes, and closes all of it at the end of a `with`."""
        if self.kind == "parquet" and "://" not in self.url:
            return pa.OSFile(self.url)  # spares Parquet's reader the way through Python
        return fsspec.open(self.url, "rb", compression=self.packed)


@dataclass(frozen=True)
class Unit:
    """Some consecutive rows of one file, and how to read them."""

    file: int  # place of the file in the input
    next: tuple[int, int]  # where the unit after it starts: (file, position)
    body: bytes | None = None  # of CSV: the header and whole lines
    group: int = 0  # of Parquet: the row group
    slice: tuple[int, int] = (0, 0)  # of Parquet: first row in the group, and the one after the last


def find_files(patterns: list[str]) -> list[File]:
    """Return the files that the patterns name, sorted within each; raises `UsageError` when one names none."""
    found: list[File] = []
    for pattern in patterns:
        try:
            system, path = fsspec.core.url_to_fs(pattern)
        except ImportError as error:
            raise MissingExtra(f"{pattern}: {error}. Install what reads it, such as pip install s3fs.") from None
        if any(mark in path for mark in "*?["):
            paths = sorted(system.glob(path))
        elif system.isdir(path):
            paths = sorted(name for name in system.find(path) if _kind(name)[0])
        else:
            paths = [path] if system.exists(path) else []
        if not paths:
            raise UsageError(f"{pattern}: found no file, expected CSV or Parquet files, a folder or a glob of them.")
        for name in paths:
            kind, packed = _kind(name)
            if not kind:
                raise UsageError(f"{name}: found no kind that can be scored, expected one of {', '.join(KINDS)}.")
            about = system.info(name)
            marks = (about.get(mark) for mark in ("size", "mtime", "LastModified", "ETag", "etag"))
            url = name if "://" not in pattern else system.unstrip_protocol(name)
            found.append(File(url, kind, packed, repr(tuple(map(str, marks)))))
    return found


def cut(files: list[File], start: tuple[int, int], workers: int) -> Iterator[Unit]:
    """Yield the units from a place on: the same units from the same place, whatever came before."""
    for place in range(start[0], len(files)):
        position = start[1] if place == start[0] else 0
        if files[place].kind == "parquet":
            yield from _cut_parquet(files[place], place, position, workers)
        else:
            yield from _cut_csv(files[place], place, position)


def count_rows(files: list[File]) -> int | None:
    """Return how many rows there are, when all files say so themselves; else None."""
    if any(file.kind != "parquet" for file in files):
        return None
    total = 0
    for file in files:
        with file.open() as opened:
            total += pq.ParquetFile(opened).metadata.num_rows
    return total


def _kind(name: str) -> tuple[str, str | None]:
    """Return kind and compression by a file's name; an empty kind when neither is known."""
    stem, dot, ending = name.lower().rpartition(".")
    packed = PACKED.get(dot + ending)
    if packed:
        stem, dot, ending = stem.rpartition(".")
    kind = KINDS.get(dot + ending, "")
    return (kind, packed) if not (packed and kind == "parquet") else ("", None)


def _cut_parquet(file: File, place: int, position: int, workers: int) -> Iterator[Unit]:
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
        after = (place, number + 1) if number + 1 < len(slices) else (place + 1, 0)
        if number >= position:
            yield Unit(place, after, group=group, slice=bounds_)


def _cut_csv(file: File, place: int, position: int) -> Iterator[Unit]:
    """Yield whole lines, cut only where no quotation is open; `position` is in bytes, 0 means after the header."""
    header = file.header
    with file.open() as opened:
        if position:
            opened.seek(position)
        else:
            position = len(opened.readline())
        rest = b""
        while True:
            block = opened.read(BLOCK)
            text = rest + block
            end = len(text) if not block else _last_whole_line(text)
            if end:
                position += end
                after = (place, position) if block else (place + 1, 0)
                if text[:end].strip():
                    yield Unit(place, after, header + text[:end])
            rest = text[end:]
            if not block:
                return


def _last_whole_line(text: bytes) -> int:
    """Return where the last line ends that is no part of a quotation; 0 when there is none."""
    end = len(text)
    while True:
        end = text.rfind(b"\n", 0, end)
        if end < 0:
            return 0
        if text.count(b'"', 0, end) % 2 == 0:
            return end + 1
