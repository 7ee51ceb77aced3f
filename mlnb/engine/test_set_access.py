"""Access to held-out artifacts: every access is recorded before the artifact is loaded, with the artifact's rows.

`test_set_accesses/<digest>/<reader>` is one access, and `test_set_accesses/<digest>.rows` has the hashes of the rows.
The record of a run names what it has loaded too, so that an access whose file was deleted still counts, and is noticed.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.engine.files import PRIVATE, full_disk_explained, make_folder, write_whole
from mlnb.engine.formats import load_object
from mlnb.engine.row_hashes import count_shared, row_hashes
from mlnb.engine.run_records import RunRecord
from mlnb.engine.store import Store
from mlnb.errors import MlnbError

if TYPE_CHECKING:
    from mlnb.engine.row_hashes import Hashes

HELD_OUT = "held-out"  # first word of the description of a held-out artifact
ROWS = ".rows"


class Access(NamedTuple):
    """An access to a held-out artifact.

    Args:
        digest: Digest of the artifact.
        reader: Id of the run, or a name from `interactive_reader`.
        purpose: Stage key of the evaluation; of an interactive session, empty.
    """

    digest: str
    reader: str
    purpose: str = ""


class OpenedRows(NamedTuple):
    """How many rows of a table other evaluations have loaded before.

    Args:
        rows: Rows that are in a held-out artifact that was loaded before.
        unknown: Number of those artifacts whose rows are no longer known.
        lost: Number of accesses in the records of runs whose file was deleted.
    """

    rows: int
    unknown: int
    lost: int


def is_held_out(description: str) -> bool:
    """Return whether the description of an artifact marks it as held out."""
    return description.lower().startswith(HELD_OUT)


def interactive_reader() -> str:
    """Return a name for the reader in an interactive session: each session is a different reader."""
    return f"interactive-{time.time_ns():x}-{os.getpid():x}"


def record_access(root: Path, access: Access) -> None:
    """Record that a reader loads a held-out artifact.

    Each access is one file, created atomically by the operating system: concurrent processes are counted separately,
    a run that is retried counts once, and an access is recorded even when the process dies after it.

    Args:
        root: Folder of the store.
        access: The access.
    """
    path = access_path(root, access.digest, access.reader)
    with full_disk_explained(path):
        make_folder(path.parent)
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, PRIVATE)
        try:
            os.write(descriptor, access.purpose.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def record_rows(root: Path, digest: str, value: Any) -> None:
    """Store the hashes of a held-out artifact's rows, by which they are recognized in other test sets."""
    path = rows_path(root, digest)
    if not path.exists() and (hashes := row_hashes(value)) is not None:
        write_whole(path, hashes.astype("<u8").tobytes(), PRIVATE)


def access_path(root: Path, digest: str, reader: str) -> Path:
    """Return the file of an access."""
    return root / "test_set_accesses" / digest / reader


def rows_path(root: Path, digest: str) -> Path:
    """Return the file of the hashes of a held-out artifact's rows."""
    return root / "test_set_accesses" / f"{digest}{ROWS}"


def count_accesses(root: Path, digest: str) -> int:
    """Return the number of runs and interactive sessions that have loaded the artifact with that digest."""
    try:
        return len(os.listdir(root / "test_set_accesses" / digest))
    except FileNotFoundError:
        return 0


def read_accesses(root: Path) -> list[Access]:
    """Return every access that has a file, sorted."""
    files = sorted((root / "test_set_accesses").glob("*/*"))
    return [Access(path.parent.name, path.name, path.read_text("utf-8", errors="replace")) for path in files]


def recorded_accesses(records: Iterable[RunRecord]) -> set[Access]:
    """Return the accesses that the records of runs name."""
    return {
        Access(digest, stage.from_run or record.id, stage.key or "")
        for record in records
        for stage in record.stages.values()
        for digest in stage.held_out.values()
    }


def add_accesses(root: Path, accesses: Iterable[Access]) -> None:
    """Record accesses of other machines that have no file here."""
    for access in lost_accesses(root, accesses):
        record_access(root, access)


def lost_accesses(root: Path, recorded: Iterable[Access]) -> list[Access]:
    """Return the accesses whose file was deleted, sorted."""
    return sorted(access for access in recorded if not access_path(root, access.digest, access.reader).exists())


def count_opened(store: Store, tables: Iterable[Any], own: Access, recorded: Iterable[Access]) -> list[OpenedRows]:
    """Return for each table how many of its rows other evaluations have loaded before.

    The same evaluation, executed again, is no other one: it reveals nothing new about the test set.

    Args:
        store: The store.
        tables: The tables.
        own: The access of this evaluation; its digest is not used.
        recorded: Accesses in the records of runs.
    """
    import numpy as np

    lost = lost_accesses(store.root, recorded)
    others = {
        access.digest
        for access in (*read_accesses(store.root), *lost)
        if access.reader != own.reader and (not own.purpose or access.purpose != own.purpose)
    }
    parts = [_read_rows(store, digest) for digest in sorted(others)]
    opened = [part for part in parts if part is not None]
    every = np.unique(np.concatenate(opened)) if opened else None
    hashes = [row_hashes(table) if every is not None else None for table in tables]
    counts = [count_shared(each, every) if each is not None and every is not None else 0 for each in hashes]
    return [OpenedRows(count, unknown=len(parts) - len(opened), lost=len(lost)) for count in counts]


def _read_rows(store: Store, digest: str) -> "Hashes | None":
    """Return the hashes of a held-out artifact's rows; computed again when their file is missing; None if unknown."""
    import numpy as np

    path = rows_path(store.root, digest)
    if not path.exists():
        with suppress(MlnbError):  # deleted from the store, or no table
            record_rows(store.root, digest, load_object(store, "table", digest))
    return np.frombuffer(path.read_bytes(), dtype="<u8") if path.exists() else None
