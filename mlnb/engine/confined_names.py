"""Names from records, listings and archives: accepted only when they stay inside the folder that they are joined to."""

import re
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{64}")
_SEPARATORS = re.compile(r"[/\\\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")


def is_digest(text: object) -> bool:
    """Return whether a value is a SHA-256 as 64 hexadecimal digits."""
    return isinstance(text, str) and DIGEST.fullmatch(text) is not None


def is_plain_name(name: object) -> bool:
    """Return whether a value is the name of one file or folder: no separator, drive or control character, not `..`."""
    return (
        isinstance(name, str)
        and name not in ("", ".", "..")
        and _SEPARATORS.search(name) is None
        and _DRIVE.match(name) is None
        and name.isprintable()
    )


def is_confined(path: object) -> bool:
    """Return whether a value is a relative path with `/` that stays inside its folder, on any operating system."""
    return isinstance(path, str) and all(map(is_plain_name, path.split("/")))


def confined_file(folder: Path, path: object) -> Path | None:
    """Return an existing file below a folder; None when there is none, its name is not confined, or a link is on it.

    Args:
        folder: The folder.
        path: A relative path with `/`, from a record.
    """
    if not (isinstance(path, str) and is_confined(path)):
        return None
    file = folder
    for part in path.split("/"):
        file = file / part
        if file.is_symlink():
            return None
    return file if file.is_file() else None
