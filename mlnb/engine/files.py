"""Files that are written completely or not at all, and locks between processes."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mlnb.errors import DamagedFileWarning, StoreFull

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
TEMPORARY = ".writing-"  # start of the names of files that are being written
PRIVATE = 0o600  # mode of files that may hold rows of data, secrets or paths: all of a run and of the store
PRIVATE_FOLDER = 0o700


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into a `StoreFull` that names the path and the next command."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE and not isinstance(error, StoreFull):
            raise StoreFull(
                f"No space left while writing {path}. What was finished is kept. "
                "Free some space (`mlnb clean` removes what no run needs) and run the same command again."
            ) from error
        raise


def temporary_path(folder: Path) -> Path:
    """Return a path in `folder` that no other process uses; `tempfile` would take as long to import as all of this."""
    return folder / f"{TEMPORARY}{os.urandom(8).hex()}"


@contextmanager
def writing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that becomes `path`, complete and flushed to the disk, at the end; after an error nothing is left.

    Raises:
        StoreFull: The disk is full.
    """
    with full_disk_explained(path):
        make_folder(path.parent, PRIVATE_FOLDER if mode & 0o077 == 0 else 0o777)
        temporary = temporary_path(path.parent)
        try:
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError as error:
            raise _refused(path) from error
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, mode)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        flush_folder(path.parent)


def relative_name(path: Path, root: Path) -> str:
    """Return a path with slashes, relative to `root` when it is below it."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def make_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Create a folder and its missing parents, each with a mode, so that they survive a power failure."""
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    except FileNotFoundError:
        make_folder(folder.parent, mode)
        try:
            folder.mkdir(mode, exist_ok=True)
        except FileNotFoundError as error:
            raise _refused(folder) from error
    flush_folder(folder.parent)


def _refused(path: Path) -> PermissionError:
    """Return the error of a folder that exists and takes no files, as /proc."""
    return PermissionError(errno.EACCES, "the file system of this folder creates no files", str(path))


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, after a file was renamed; where that is not possible, do nothing."""
    with suppress(OSError):  # Windows opens no folder, and some network file systems flush none
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_whole(path: Path, data: bytes | memoryview, mode: int = 0o644) -> None:
    """Write `data` to `path`: a reader sees the old file or the new one, never a part. Raises `StoreFull`."""
    with writing(path, mode) as file:
        file.write(data)


def write_private(path: Path, data: bytes) -> None:
    """Overwrite a file in place, readable by its owner alone; it is created when it is missing."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with open(handle, "wb") as file:
        file.write(data)


def copy_whole(source: Path, target: Path, mode: int = 0o644) -> None:
    """Copy a file; `target` appears completely or not at all. Raises `StoreFull`."""
    with source.open("rb") as origin, writing(target, mode) as file:
        while block := origin.read(1 << 20):
            file.write(block)


def delete_folder(folder: Path) -> None:
    """Delete a folder with its contents; a missing folder and files that cannot be deleted are ignored."""
    import shutil  # here, as it takes longer to import than all other modules of this one

    shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Write `value` as indented JSON, completely or not at all. Raises `StoreFull`."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode(), mode)


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`; None when the file is missing or damaged, with a warning when it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as error:
        warn_damaged(f"{path} is damaged and is ignored: {error}.")
        return None


def warn_damaged(message: str) -> None:
    """Warn that something is damaged and how the program continues; a command prints each such warning once."""
    import warnings  # here, as a program that finds no damage needs none

    warnings.warn(message, DamagedFileWarning, stacklevel=2)


def quarantine(root: Path, path: Path) -> str:
    """Move a damaged file or folder of the store to `quarantine/`, where nothing reads it; return where it is, as text.

    It stays where it is when it cannot be moved, as in a store that is read-only.

    Args:
        root: Folder of the store.
        path: The damaged file or folder.
    """
    target = root / "quarantine" / f"{'-'.join(path.relative_to(root).parts)}-{os.urandom(4).hex()}"
    try:
        make_folder(target.parent)
        os.replace(path, target)
    except OSError:
        return f"left at {path}"
    return f"moved to {target}"


@contextmanager
def try_lock(path: Path, share: bool = False) -> Iterator[bool]:
    """Hold a lock on `path` inside the block; yields False at once when another process holds it.

    Args:
        path: A file, which is created.
        share: Whether others may hold it at the same time, if they share it, too.
    """
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    try:
        yield _flock(handle, share)
    finally:
        os.close(handle)


def _flock(handle: int, share: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two runs at once then compute the same stage twice, to the same bytes
        return True
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if share else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
