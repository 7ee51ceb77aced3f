"""Suggestions of the closest name in error messages."""

from collections.abc import Iterable
from pathlib import Path


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a sentence such as " Did you mean 'tune'?" with the closest of `names`; empty when none is close."""
    import difflib  # only an error needs it

    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


def similar_file(path: Path) -> str:
    """Return a sentence with the file in the folder of a missing one whose name is the closest; empty without one."""
    return did_you_mean(
        path.name, sorted(other.name for other in path.parent.iterdir()) if path.parent.is_dir() else []
    )
