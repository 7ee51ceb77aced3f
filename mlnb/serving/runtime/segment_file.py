"""The file of a segment of the prediction log: it takes whole records or nothing, and its folder may vanish."""

import itertools
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

NUMBERS = itertools.count(1)  # of the segments of this process
PART = 2**20  # bytes that are written at a time
TOKEN = secrets.token_hex(4)  # of this process: in containers many have the same id, and copy to one folder


class SegmentFile:
    """An open segment.

    Attributes:
        path: of the file.
        start: seconds since 1970.
        rows: rows in it.
        is_broken: whether it may end with a part of a record, so that nothing more can be written.
    """

    def __init__(self, folder: Path, start: float) -> None:
        """Create a file in `folder`, which is made again when it was deleted. Raises `OSError`."""
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(start))
        self.path = folder / f"{stamp}-{os.getpid()}-{TOKEN}-{next(NUMBERS)}.jsonl"
        self.start, self.rows, self.is_broken = start, 0, False
        self._bytes = 0  # of whole records
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._identity = os.fstat(self._handle).st_ino

    def write(self, parts: Iterable[bytes], rows: int) -> None:
        """Write records to the disk, all or none.

        Raises:
            OSError: the disk refuses; what it took is removed, so that the next record begins a line.
        """
        written = 0
        try:
            for data in _join(parts):
                while data:
                    count = os.write(self._handle, data)
                    written += count
                    data = data[count:]
            os.fsync(self._handle)
        except OSError:
            self.is_broken = True
            os.ftruncate(self._handle, self._bytes)
            self.is_broken = False
            raise
        self._bytes += written
        self.rows += rows

    def is_gone(self) -> bool:
        """Return whether the file is no longer at its path: it was deleted or moved, or its folder was."""
        try:
            return os.stat(self.path).st_ino != self._identity
        except OSError:
            return True

    def close(self) -> None:
        """Close the file; there is nothing left to write."""
        with suppress(OSError):
            os.close(self._handle)


def _join(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield short parts together."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= PART:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
