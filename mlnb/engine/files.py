"""Files that are written completely or not at all, and locks between processes."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mlnb.errors import StoreFull

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
    return folder / f".writing-{os.urandom(8).hex()}"


@contextmanager
def writing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that becomes `path`, complete and flushed to the disk, at the end; after an error nothing is left.

    Raises:
        StoreFull: The disk is full.
    """
    with full_disk_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_path(path.parent)
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
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


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` to `path`: a reader sees the old file or the new one, never a part. Raises `StoreFull`."""
    with writing(path, mode) as file:
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


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, completely or not at all. Raises `StoreFull`."""
    write_whole(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`; None when the file is missing or damaged."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


@contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Hold an exclusive lock on `path` inside the block; yields False at once when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _flock(handle)
    finally:
        os.close(handle)


def _flock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows has no flock; two runs at once then compute the same stage twice, to the same bytes
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
