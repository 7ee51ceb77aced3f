"""Records of the files that `mlnb data restore` has written, also outside of the project, for `mlnb erase`.

A record is `restored/<name>.json` in the store, written before its file, so that a kill leaves no unknown file.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from mlnb.codec import Record, decode, encode
from mlnb.engine.digests import digest_value
from mlnb.engine.files import PRIVATE, relative_name, write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ProjectError, StoreFull

FOLDER = "restored"  # in the store


class RestoredFile(Record, frozen=True, kw_only=True):
    """A file that a version of data was restored to.

    Args:
        path: the file; relative to the project when it is in it.
        version: digest of the version.
        tables: digest of each table in the store that was made of the version.
        digest: SHA-256 of the file; empty: it was not finished, or the version was in this file already.
        md5: MD5 of the contents that the pointer of DVC next to it has; empty without a pointer.
        cached: whether no cache of DVC had the contents before, so that a copy there is of the restoration.
    """

    SCHEMA: ClassVar[str] = "restored-file"

    path: str
    version: str
    tables: tuple[str, ...]
    digest: str = ""
    md5: str = ""
    cached: bool = False


def record_path(project: Project, restored: RestoredFile) -> Path:
    """Return the file of a record: there is one for each file and version."""
    return project.store_root / FOLDER / f"{digest_value([restored.path, restored.version])[:32]}.json"


def describe_restoration(project: Project, path: Path, version: str, tables: tuple[str, ...]) -> RestoredFile:
    """Return the record of a file that is about to be written; one of an earlier restoration stays as it is."""
    whole = path.parent.resolve() / path.name
    restored = RestoredFile(path=relative_name(whole, project.root.resolve()), version=version, tables=tables)
    return read_restored(record_path(project, restored)) or restored


def record_restored(project: Project, restored: RestoredFile) -> None:
    """Write a record. Raises `ProjectError` when that is not possible, and `StoreFull`."""
    path = record_path(project, restored)
    try:
        write_whole(path, encode(restored), PRIVATE)
    except StoreFull:
        raise
    except OSError as error:
        raise ProjectError(
            f"The restored file cannot be recorded in {path.parent} ({error.strerror}), and `mlnb erase` would not "
            "know it; make the folder writable. Nothing was restored."
        ) from error


def read_restored(path: Path) -> RestoredFile | None:
    """Return a record; None where there is none or it is damaged."""
    with suppress(OSError, MlnbError):
        return decode(RestoredFile, path.read_bytes(), str(path))
    return None


def list_restored(project: Project) -> Iterator[RestoredFile]:
    """Yield the records of a project.

    Raises:
        ProjectError: one is damaged, so that it is not known which file was restored.
    """
    for path in sorted((project.store_root / FOLDER).glob("*.json")):
        restored = read_restored(path)
        if restored is None:
            raise ProjectError(f"{path}, the record of a restored file, is damaged; restore it from a backup.")
        yield restored
