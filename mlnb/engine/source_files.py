"""The local files that a source names other than by its path: a glob, a DVC pointer, or a query over files."""

import re
from collections.abc import Iterator
from pathlib import Path

MARKS = "*["
QUOTED = re.compile(r"'([^']+)'")


def source_files(root: Path, source: str) -> list[Path]:
    """Return the files, sorted; none for a plain file, a folder or a remote source.

    Args:
        root: folder of relative paths.
        source: as a parameter states it.
    """
    return sorted(set(_find(root, source)))


def _find(root: Path, source: str) -> Iterator[Path]:
    """Yield the files that a source names."""
    if source.startswith("duckdb:"):
        location, _, query = re.sub(r"^duckdb:/{0,3}", "", source).partition("::")
        for name in [location, *QUOTED.findall(query)]:
            yield from _match(root, name)
    elif "://" not in source:
        if any(mark in source for mark in MARKS):
            yield from _match(root, source)
        elif source.endswith(".dvc") and (root / source).is_file():
            yield root / source
            yield from _match(root, source.removesuffix(".dvc"))
        elif not (root / source).exists() and (pointer := root / f"{source}.dvc").is_file():
            yield pointer


def _match(root: Path, pattern: str) -> Iterator[Path]:
    """Yield the files of a path or glob, none for a URL."""
    if not pattern or "://" in pattern or pattern == ":memory:":
        return
    folder, relative = (Path("/"), pattern.lstrip("/")) if pattern.startswith("/") else (root, pattern)
    try:
        yield from (path for path in folder.glob(relative) if path.is_file())
    except (ValueError, NotImplementedError, OSError):
        return  # the reader reports a pattern that is wrong
