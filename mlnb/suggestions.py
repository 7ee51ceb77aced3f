"""Names in error messages: a suggestion of the closest, or a list of the first ones."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

LISTED = 20  # names that a message lists


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence such as " Did you mean 'tune'?" with the closest of `names`; empty when none is close."""
    close = _closest(name, names)
    return f" Did you mean {close!r}?" if close else ""


def similar_file(name: str, folder: Path = Path()) -> str:
    """Return a sentence with the file whose name is the closest to that of a missing one; empty without one.

    Args:
        name: Path of the missing file as it was typed, relative to `folder` or absolute.
        folder: Where the path starts.
    """
    missing = folder / Path(name).expanduser()
    files = sorted(other.name for other in missing.parent.iterdir()) if missing.parent.is_dir() else []
    close = _closest(missing.name, files)
    return f" Did you mean {os.path.join(os.path.dirname(name), close)!r}?" if close else ""


def list_names(names: Collection[str]) -> str:
    """Return the first names for a message, and how many more there are."""
    more = len(names) - LISTED
    return ", ".join(sorted(names)[:LISTED]) + (f" and {more} more" if more > 0 else "") if names else "none"


def _closest(name: str, names: Iterable[str]) -> str:
    """Return the closest of `names`; empty when none is close."""
    import difflib  # only an error needs it

    return next(iter(difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)), "")
