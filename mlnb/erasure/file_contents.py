"""Whether the contents of a file hold the selected rows, whatever the file's encoding."""

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlnb.erasure.conditions import Selection
from mlnb.erasure.search_terms import SearchTerms

if TYPE_CHECKING:
    import pandas as pd

PARQUET, NUMPY, GZIP, ZIP = b"PAR1", b"\x93NUMPY", b"\x1f\x8b", b"PK\x03\x04"
ARROW, ZSTD, WANDB = b"ARROW1", b"\x28\xb5\x2f\xfd", b":W&B"
TAR = slice(257, 262)  # where a tar file has "ustar"
BLOCK, HEAD = 32768, 7  # bytes of a block of a W&B file, and of the header in front of each part of a record
DEEPEST = 6  # archives inside of archives
LARGEST = 256 << 20  # bytes of a member of an archive that is unpacked
MOST_JSON = 64 << 20  # bytes of JSON that is parsed
ENCODER = "encoder"  # part of the name of files with a vocabulary


class ContentSearch:
    """Search for the selected rows.

    Attributes:
        selection: the conditions.
        terms: values that only the selected rows have.
    """

    def __init__(self, selection: Selection, terms: SearchTerms) -> None:
        self.selection = selection
        self.terms = terms

    def holds(self, data: bytes, name: str = "", depth: int = 0) -> bool:
        """Return whether the contents of a file hold the rows.

        Args:
            data: Its bytes.
            name: Its name, or that of the artifact.
            depth: Number of archives that it is inside of.
        """
        if self.terms.in_bytes(data):
            return True
        if data[:4] in (PARQUET, ARROW[:4]) or data[:6] == NUMPY:
            table = read_rows(data)
            return table is not None and self.in_table(table)
        if data[:4] == WANDB:
            return self.terms.in_bytes(_joined_blocks(data))
        if depth < DEEPEST and (parts := unpacked(data)) is not None:
            return any(self.holds(part, inner, depth + 1) for inner, part in parts)
        return self._in_json(data, name)

    def in_table(self, table: "pd.DataFrame") -> bool:
        """Return whether a table has selected rows, or a value that only they have."""
        matches = self.selection.matches(table)
        if matches is not None and matches.any():
            return True
        if not self.terms.strong:
            return False
        return any(
            self.terms.in_texts(table.iloc[:, position].unique())
            for position in range(table.shape[1])
            if _is_flat(table.iloc[:, position])
        )

    def _in_json(self, data: bytes, name: str) -> bool:
        if (
            data[:1] not in (b"{", b"[")
            or len(data) > MOST_JSON
            or name.endswith((".ipynb", "run.json", "manifest.json"))
        ):
            return False
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if isinstance(value, dict) and {"nbformat", "cells"} <= value.keys():
            return False
        return self.in_json(value, ENCODER in name)

    def in_json(self, value: Any, vocabulary: bool = False) -> bool:
        """Return whether a JSON value has a row, a statistic of a condition's column, or a whole string of the rows."""
        return self.terms.in_json(value, vocabulary) or any(self._is_row(each) for each in _objects(value))

    def _is_row(self, values: dict[str, Any]) -> bool:
        return self.terms.is_row(values) or self._is_statistic(values)

    def _is_statistic(self, values: dict[str, Any]) -> bool:
        """Return whether an object describes a condition's column by the value itself, as its minimum or example."""
        named = {str(value) for key, value in values.items() if key in ("name", "column")}
        for conditions in self.selection.alternatives:
            for each in conditions:
                if each.column in named and values.get("role") == "identifier":
                    texts = {
                        str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in values.values()
                    }
                    if texts & {*each.values}:
                        return True
        return False


def read_rows(data: bytes) -> "pd.DataFrame | None":
    """Return a Parquet or Arrow file or a NumPy array as a table; None when it cannot be read."""
    import numpy as np
    import pandas as pd

    try:
        if data[:6] == NUMPY:
            array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
            if array.dtype.names:  # columns with names
                return pd.DataFrame(array.ravel())
            return pd.DataFrame(array.reshape(len(array), -1)) if array.ndim else None
        if data[:6] == ARROW:
            import pyarrow

            frame: pd.DataFrame = pyarrow.ipc.open_file(io.BytesIO(data)).read_all().to_pandas()
            return frame
        return pd.read_parquet(io.BytesIO(data))
    except (ValueError, OSError, KeyError, MemoryError):
        return None


def unpacked(data: bytes) -> Iterator[tuple[str, bytes]] | None:
    """Return name and bytes of each member of a compressed file or archive; None for any other file."""
    if data[:2] == GZIP:
        return _gunzipped(data)
    if data[:4] == ZIP:
        return _unzipped(data)
    if data[:4] == ZSTD:
        return _unzstd(data)
    if data[TAR] == b"ustar":
        return _untarred(data)
    return None


def _gunzipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        yield "", gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST)
    except (OSError, EOFError, zlib.error):
        return


def _unzstd(data: bytes) -> Iterator[tuple[str, bytes]]:
    import pyarrow

    try:
        yield "", pyarrow.input_stream(io.BytesIO(data), compression="zstd").read(LARGEST)
    except (OSError, pyarrow.ArrowException):
        return


def _unzipped(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    yield member.filename, file.read(LARGEST)
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error):
        return


def _untarred(data: bytes) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                if (file := archive.extractfile(member)) is not None:
                    yield member.name, file.read(LARGEST)
    except (tarfile.TarError, OSError):
        return


def _joined_blocks(data: bytes) -> bytes:
    """Return a W&B file without the header at the start of each block, which may divide a text."""
    return b"".join(data[start + HEAD : start + BLOCK] for start in range(0, len(data), BLOCK))


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each object in a JSON value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            yield item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _is_flat(column: "pd.Series") -> bool:
    """Return whether the values of a column can be compared: no lists or objects."""
    return not (
        column.dtype == object
        and column.map(lambda value: isinstance(value, list | dict | set) or hasattr(value, "shape")).any()
    )
