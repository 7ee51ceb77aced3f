"""The files to score: everything that `ingest` reads, and how each is opened."""

import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

import fsspec
import pyarrow as pa

from mlnb.errors import UsageError
from mlnb.methods.contracts.table_formats import Layout
from mlnb.methods.tables.data_sources import HEAD, PROJECT_SOURCE, hide_secrets
from mlnb.methods.tables.file_kinds import find_kind, find_member
from mlnb.methods.tables.file_sets import find_parts, name_of, partition_of
from mlnb.methods.tables.remote_files import storage_options
from mlnb.serving.batch.csv_files import read_layout
from mlnb.url_passwords import SECRET

GZIP = b"\x1f\x8b\x08"
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}
STREAMED = {"parquet": b"PAR1", "arrow": b"ARROW1", "orc": b"ORC"}  # formats read in parts: their first bytes


@dataclass(frozen=True)
class InputFile:
    """One file of the input, or one query of a database.

    Args:
        url: path or URL, as fsspec reads it; of a database with `${NAME}` for secrets.
        kind: csv, parquet, arrow or orc, which are read in parts; "whole" for others, which are read at once.
        compression: of a CSV file: fsspec's name of it.
        version: changes when the file does.
        trained: CSV: layout of the training file; None: it was no delimited text.
        expected: names of the model's columns.
        partition: columns that the names of its folders add, and their values.
        sheet: Excel: name of the sheet; empty: the one with the model's columns.
    """

    url: str
    kind: str
    compression: str | None
    version: str
    trained: Layout | None = None
    expected: tuple[str, ...] = ()
    partition: tuple[tuple[str, str], ...] = ()
    sheet: str = ""

    @property
    def shown(self) -> str:
        """Return the path or URL for messages: without a password."""
        return _show(self.url)

    @property
    def source(self) -> str:
        """Return the path or URL with its secrets filled in. Raises `UsageError` when one is not set."""
        try:
            return SECRET.sub(lambda match: os.environ[match[1]], self.url) if "://" in self.url else self.url
        except KeyError as error:
            name = error.args[0]
            raise UsageError(f"{self.url}: the environment has no {name}; set it: export {name}=…") from None

    @cached_property
    def layout(self) -> Layout:
        """Return how a CSV file is cut into cells."""
        with self.open() as file:
            return read_layout(file, self.shown, self.trained, self.expected)

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Return the file, opened for reading bytes in a `with` statement, which also closes what lies below."""
        if self.kind in STREAMED and "://" not in self.url:
            local: AbstractContextManager[IO[bytes]] = pa.OSFile(self.url)  # needs no calls into Python
            return local
        return _open(self.url, self.compression)


def find_files(
    patterns: list[str], trained: Layout | None = None, expected: tuple[str, ...] = (), sheet: str = ""
) -> list[InputFile]:
    """Return the files that the patterns name, sorted within each.

    Args:
        patterns: paths, folders, globs and DVC pointers, or their URLs; databases as `URL::table`.
        trained: layout of the training file; None: it was no delimited text.
        expected: names of the model's columns.
        sheet: Excel: name of the sheet; empty: the one with the model's columns.

    Raises:
        UsageError: a pattern names no file, or one of a format that is not read.
        MissingExtra: the library that reads such URLs is not installed.
    """
    files: list[InputFile] = []
    for pattern in patterns:
        if pattern.startswith(PROJECT_SOURCE):
            raise UsageError(
                f"{pattern}: a source of the project is read by its stage ingest; write its rows to a file."
            )
        if pattern.startswith("sklearn:") or ("://" in pattern and "::" in pattern):
            files.append(InputFile(pattern, "whole", None, "", trained, expected))
            continue
        try:
            parts = find_parts(pattern)
        except (OSError, ValueError) as error:
            raise UsageError(f"{pattern}: {error}.") from None
        for part in parts:
            named = {name: value for name, value in partition_of(part.path).items() if name in expected}
            partition = tuple({**named, **part.partition}.items())
            kind, compression, version = _inspect(part.path, pattern)
            files.append(InputFile(part.path, kind, compression, version, trained, expected, partition, sheet))
    return files


def _inspect(path: str, pattern: str) -> tuple[str, str | None, str]:
    """Return how a file is read, its compression, and its version."""
    system, inner = fsspec.core.url_to_fs(path, **storage_options(path))
    try:
        metadata = system.info(inner)
        version = repr(tuple(str(metadata.get(field)) for field in ("size", "mtime", "LastModified", "ETag", "etag")))
        name = name_of(path, pattern)
        with _open(path, None) as file:
            head = file.read(HEAD)
            compression = "gzip" if head.startswith(GZIP) else COMPRESSIONS.get(Path(name).suffix.lower())
            if compression == "zip":
                file.seek(0)
                name = find_member(zipfile.ZipFile(io.BytesIO(file.read()) if "://" in path else file), name)
        if compression is not None:
            name = Path(name).stem if COMPRESSIONS.get(Path(name).suffix.lower()) else name
            with _open(path, compression) as file:
                head = file.read(HEAD)
        kind = find_kind(name, head)
    except UsageError:
        raise
    except FileNotFoundError:
        raise UsageError(f"{path}: found no file, expected one, a folder or a glob.") from None
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"{path}: {error}.") from None
    if kind == "csv":
        return kind, compression, version
    if compression == "zstd":
        raise UsageError(f"{path}: zst is read for delimited text only; unpack the file.")
    streamed = compression is None and head.startswith(STREAMED.get(kind, b"-"))
    return (kind if streamed else "whole"), None, version


def _open(url: str, compression: str | None) -> AbstractContextManager[IO[bytes]]:
    """Return a file, unpacked, opened for reading in a `with` statement."""
    if compression == "zip":
        return _open_member(url)
    opened: AbstractContextManager[IO[bytes]] = fsspec.open(url, "rb", compression=compression, **storage_options(url))
    return opened if compression is None else _open_packed(opened, url)


@contextmanager
def _open_packed(opened: AbstractContextManager[IO[bytes]], url: str) -> Iterator[IO[bytes]]:
    """Open a compressed file, whose damage is an error when it is read."""
    try:
        with opened as file:
            yield file
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UsageError(
            f"{_show(url)}: found damaged compressed data ({error}); expected a complete file: copy it again."
        ) from None


def _show(url: str) -> str:
    """Return a path or URL for messages: without a password."""
    return hide_secrets(url) if "://" in url else url


@contextmanager
def _open_member(url: str) -> Iterator[IO[bytes]]:
    """Open the only file of a zip archive."""
    with fsspec.open(url, "rb", **storage_options(url)) as file, zipfile.ZipFile(file) as archive:
        member = archive.open(find_member(archive, re.sub(r".*/", "", url)))
        with member:
            yield member
