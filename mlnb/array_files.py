"""Arrays that do not fit in memory, in memory-mapped files: the system reads their pages when they are used.

A file is deleted as soon as it is mapped, so that it disappears with its array, and with the process at the latest.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import mmap

    import numpy

BLOCK = 1 << 24  # bytes that are written at a time


class ArrayFiles:
    """A folder for large arrays.

    Attributes:
        folder: The folder; created when an array is written.
        limit: Bytes of a table or matrix above which its columns are in files.
        memory: Bytes of memory that are available for everything.
        written: Bytes written so far.
    """

    def __init__(self, folder: Path, limit: float, memory: float = math.inf) -> None:
        """Set the folder, the limit and the memory; with a limit of 0 the columns of any table are in files."""
        self.folder = folder
        self.limit = limit
        self.memory = memory
        self.written = 0

    def holds(self, size: float) -> bool:
        """Return whether the columns of a table or matrix of `size` bytes are in files."""
        return size > self.limit

    def keep_array(self, values: "numpy.ndarray[Any, Any]") -> "numpy.ndarray[Any, Any]":
        """Return an array (n,) with the same values in a file, read-only."""
        import numpy

        if not values.size:
            return values

        def write(file: BinaryIO) -> None:
            step = max(1, BLOCK // values.itemsize)
            for start in range(0, len(values), step):
                file.write(numpy.ascontiguousarray(values[start : start + step]).view(numpy.uint8).data)

        return numpy.frombuffer(self.map_file(write), dtype=values.dtype)

    def map_file(self, write: Callable[[BinaryIO], None]) -> "mmap.mmap":
        """Return a file that `write` has written, mapped read-only."""
        import mmap  # here, as a run with nothing to do maps no files
        import tempfile

        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            write(file)
            file.flush()
            self.written += file.seek(0, io.SEEK_END)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
