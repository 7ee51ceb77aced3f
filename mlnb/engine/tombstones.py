"""Tombstones: what was erased from a project, by whom, when and why; `mlnb verify` reports it as erased.

`erasures/<id>.json` in the store is one erasure; the audit log has its digest. `erasures/objects/<digest>` marks an
object that must not be stored again, as it holds the erased rows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

from mlnb.codec import Record, decode
from mlnb.errors import DataError, MlnbError

FOLDER = "erasures"


class ErasedFile(Record, frozen=True, kw_only=True):
    """A file that was removed or rewritten.

    Args:
        path: In the project; outside of it, the whole path.
        before: SHA-256 of its bytes before.
        after: SHA-256 of its bytes after; empty when it was removed.
    """

    path: str
    before: str
    after: str = ""


class Erasure(Record, frozen=True, kw_only=True):
    """One erasure, or one deletion by a retention setting.

    Args:
        id: Its name.
        when: ISO 8601 in UTC.
        who: The person or CI job.
        reason: The reason that was stated.
        columns: Columns of the conditions; their values are not recorded.
        rows: Number of rows that matched in the table with the most matches.
        objects: Digest of each object of the store that was deleted.
        files: Files that were removed or rewritten.
        versions: Versions that were trained on the rows, or whose service held them.
        unservable: Those among them whose service was deleted.
    """

    SCHEMA: ClassVar[str] = "erasure"

    id: str
    when: str
    who: str
    reason: str
    columns: tuple[str, ...] = ()
    rows: int = 0
    objects: tuple[str, ...] = ()
    files: tuple[ErasedFile, ...] = ()
    versions: tuple[str, ...] = ()
    unservable: tuple[str, ...] = ()

    def describe(self) -> str:
        """Return when, by whom and why."""
        return f"{self.when[:10]} by {self.who}: {self.reason}"


class StoredErasure(NamedTuple):
    """An erasure and the file of its record; the erasure is None when the record is damaged."""

    path: Path
    erasure: Erasure | None


def erasure_path(root: Path, name: str) -> Path:
    """Return the file of an erasure; `root` is the folder of the store."""
    return root / FOLDER / f"{name}.json"


def marker_path(root: Path, digest: str) -> Path:
    """Return the file that marks an object as erased."""
    return root / FOLDER / "objects" / digest


def read_erasures(root: Path) -> Iterator[StoredErasure]:
    """Yield the erasures of a store, oldest first."""
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            yield StoredErasure(path, decode(Erasure, path.read_bytes(), str(path)))
        except (MlnbError, OSError):
            yield StoredErasure(path, None)


def erased_object(root: Path, digest: str) -> Erasure | None:
    """Return the erasure that deleted an object; None when none did."""
    stored = (each.erasure for each in read_erasures(root))
    return next((each for each in stored if each is not None and digest in each.objects), None)


def erased_file(root: Path, path: str, before: str, now: str | None) -> Erasure | None:
    """Return the last erasure of those that left a file as it is; None when they did not.

    Args:
        root: Folder of the store.
        path: Path of the file in the project.
        before: Digest that it had.
        now: Digest that it has; None: there is no file.
    """
    steps = {
        file.before: (file.after, stored.erasure)
        for stored in read_erasures(root)
        for file in (stored.erasure.files if stored.erasure else ())
        if file.path == path
    }
    last: Erasure | None = None
    while before in steps:  # several erasures may have changed it, one after the other
        before, last = steps.pop(before)
    return last if before == (now or "") else None


def refuse_erased(root: Path, digest: str) -> None:
    """Raise `DataError` for an object that holds erased rows: its source has them still."""
    if marker_path(root, digest).exists():
        erasure = erased_object(root, digest)
        when = f" on {erasure.describe()}" if erasure else ""
        raise DataError(
            f"Object {digest[:12]} holds rows that were erased{when}. Remove the rows from the source of the data, "
            "then run again."
        )
