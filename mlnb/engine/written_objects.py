"""Objects that are written to the store piece by piece, so that they need not fit in memory."""

import os
from collections.abc import Callable
from typing import BinaryIO

from mlnb.engine.digests import digest_file
from mlnb.engine.files import flush_folder, make_folder, temporary_path, writing
from mlnb.engine.store import READ_ONLY, Store
from mlnb.engine.tombstones import refuse_erased

FOLDER = "00"  # of the objects: `mlnb clean` deletes what a killed process has left there


def put_written(store: Store, write: Callable[[BinaryIO], None]) -> tuple[str, int]:
    """Store what `write` writes to a file; return its digest and size in bytes.

    Raises:
        DataError: The object was erased.
        StoreFull: The disk is full.
    """
    written = temporary_path(store.root / "objects" / FOLDER)
    try:
        with writing(written, READ_ONLY) as file:
            write(file)
        digest, size = digest_file(written), written.stat().st_size
        if not store.intact(digest):
            refuse_erased(store.root, digest)
            path = store.path(digest)
            make_folder(path.parent)
            os.replace(written, path)
            flush_folder(path.parent)
    finally:
        written.unlink(missing_ok=True)
    return digest, size
