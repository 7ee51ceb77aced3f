"""Checks that files can be written to a folder, before work begins."""

import os
from pathlib import Path

from mlnb.engine.files import temporary_path
from mlnb.errors import UsageError


def check_output(path: Path, is_folder: bool) -> None:
    """Check that a file or folder can be written; nothing is left there.

    Args:
        path: Of the output; it and folders above may be missing.
        is_folder: Whether it is to be a folder.

    Raises:
        UsageError: It is a folder instead of a file, a folder above is a file, or files cannot be created there.
    """
    if not is_folder and path.is_dir():
        raise UsageError(f"The output {path} is a folder; expected the path of a file.")
    folder = existing_folder(path if is_folder else path.parent)
    try:
        try_writing(folder)
    except NotADirectoryError as error:
        raise UsageError(f"The output {path} cannot be written: {folder} is a file; expected a folder.") from error
    except FileNotFoundError as error:  # also of a link to nothing
        raise UsageError(f"The output {path} cannot be written: {folder} takes no files; expected a folder.") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"The output {path} cannot be written: {folder}: {reason}; expected a folder that you may write to: --out"
        ) from error


def existing_folder(folder: Path) -> Path:
    """Return a folder, or where it would be created: the first one above it that exists."""
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder


def try_writing(folder: Path) -> None:
    """Create a file in a folder and delete it. Raises `OSError` when that is not possible."""
    probe = temporary_path(folder)
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    probe.unlink()
