"""The changes of an erasure: staged before anything changes, and listed in a journal, so that each can be repeated."""

from pathlib import Path
from typing import ClassVar

from msgspec import field

from mlnb.codec import Record, encode
from mlnb.engine.digests import digest_bytes
from mlnb.engine.files import PRIVATE, make_folder, relative_name, write_whole
from mlnb.engine.project import Project
from mlnb.engine.project_lock import JOURNAL, journal_folder
from mlnb.engine.tombstones import ErasedFile, Erasure
from mlnb.registry.audit_log import ProductionHead

RECORD, MARKERS = "erasure.json", "markers"  # in the folder of an erasure


class FileChange(Record, frozen=True, kw_only=True):
    """A file that is removed, or replaced by a staged one.

    Args:
        path: Path of a file or folder in the project; outside of it, the whole path.
        staged: Name of the file with the new bytes; empty: it is removed.
    """

    path: str
    staged: str = ""


class ChainChange(Record, frozen=True, kw_only=True):
    """A chain of a prediction log, and rows and digest of its segments that are replaced."""

    path: str
    segments: dict[str, tuple[int, str]]


class LabelChange(Record, frozen=True, kw_only=True):
    """Labels of a model: request and position of the events that are removed."""

    database: str
    gone: tuple[tuple[str, int | str], ...]


class Journal(Record, frozen=True, kw_only=True):
    """All changes of an erasure; each can be repeated.

    Args:
        id: Name of the erasure.
        what: erased or expired, in the audit log.
        files, chains, labels: The changes.
        heads: The heads before, of what is written again.
        removals: Model by the path of each segment that is deleted from object storage, too.
        uploads: Model by the path of each segment and chain that is copied to object storage again.
    """

    SCHEMA: ClassVar[str] = "erasure-journal"

    id: str
    what: str
    files: tuple[FileChange, ...]
    chains: tuple[ChainChange, ...] = ()
    labels: tuple[LabelChange, ...] = ()
    heads: tuple[ProductionHead, ...] = ()
    removals: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, str] = field(default_factory=dict)


class Staging:
    """The folder in which an erasure is prepared; until its journal is written, it can be deleted without a trace."""

    def __init__(self, project: Project, name: str) -> None:
        self.project = project
        self.folder = journal_folder(project) / name
        self.files: list[FileChange] = []
        self.erased: list[ErasedFile] = []
        make_folder(self.folder / MARKERS)

    def remove(self, path: Path, before: str = "") -> None:
        """Remove a file or folder; with a digest, a tombstone names it."""
        self.files.append(FileChange(path=self.where(path)))
        if before:
            self.erased.append(ErasedFile(path=self.where(path), before=before))

    def replace(self, path: Path, data: bytes, before: str) -> None:
        """Replace the bytes of a file."""
        name = f"{len(self.files)}.new"
        write_whole(self.folder / name, data, PRIVATE)
        self.files.append(FileChange(path=self.where(path), staged=name))
        self.erased.append(ErasedFile(path=self.where(path), before=before, after=digest_bytes(data)))

    def mark(self, digest: str) -> None:
        """Mark an object, so that it is not stored again."""
        write_whole(self.folder / MARKERS / digest, b"", PRIVATE)

    def commit(self, erasure: Erasure, journal: Journal) -> None:
        """Write the record and the journal: from now on the erasure is carried out, also after a kill."""
        write_whole(self.folder / RECORD, encode(erasure), PRIVATE)
        write_whole(self.folder / JOURNAL, encode(journal), PRIVATE)

    def where(self, path: Path) -> str:
        """Return a path relative to the project, which may be moved before an erasure is continued."""
        return relative_name(path, self.project.root)
