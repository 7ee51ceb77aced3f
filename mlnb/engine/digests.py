"""Digests of bytes, JSON values and code, and a cache of values derived from files."""

import ast
import hashlib
import json
import re
import time
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

from mlnb.engine.files import read_json, write_json

RACE = 2_000_000_000  # ns: a file that changed this recently may change again within the same clock tick


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_value(value: Any) -> str:
    """Return the digest of a JSON value; the order of keys is ignored."""
    return digest_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return digest_stream(file)


def digest_stream(file: BufferedReader) -> str:
    """Return the SHA-256 of the remaining bytes of an open file, read in blocks."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def plain_python(source: str) -> str:
    """Return a cell's source for `ast`: IPython's magics and shell lines become string statements."""
    if source.lstrip().startswith("%%"):
        return repr(source)
    lines = [
        re.sub(r"^(\s*)(\S.*)$", lambda m: m[1] + repr(m[2]), line) if re.match(r"\s*[%!?]", line) else line
        for line in source.splitlines()
    ]
    return "\n".join(lines)


def parse_cell(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, or None when it is not Python."""
    try:
        return ast.parse(plain_python(source))
    except (SyntaxError, ValueError):
        return None


def digest_code(sources: Iterable[str]) -> str:
    """Return one digest for cells of code; comments, layout, empty cells and docstrings are ignored."""
    parts = []
    for source in sources:
        tree = parse_cell(source)
        if tree is None:
            parts.append(source)
        elif tree.body:
            parts.append(ast.dump(_without_docstrings(tree)))
    return digest_value(parts)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and len(node.body) > 1:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return tree


class StatCache:
    """A cache file with a JSON value per file; an entry is valid until the file's size, time or inode changes.

    A file that changed within the last two seconds is not cached, as its time could not show another change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, list[Any]] = read_json(path) or {}
        self._changed = False

    def get(self, path: Path) -> Any | None:
        """Return the cached value of `path`; None when there is none or the file has changed since."""
        entry = self._entries.get(str(path))
        if entry is None:
            return None
        stat = path.stat()
        return entry[3] if entry[:3] == [stat.st_size, stat.st_mtime_ns, stat.st_ino] else None

    def put(self, path: Path, value: Any) -> None:
        """Cache `value` for `path` as it is now."""
        stat = path.stat()
        if time.time_ns() - stat.st_mtime_ns > RACE:
            self._entries[str(path)] = [stat.st_size, stat.st_mtime_ns, stat.st_ino, value]
            self._changed = True

    def digest(self, path: Path) -> str:
        """Return the digest of the file's bytes; they are read only when the file may have changed."""
        cached = self.get(path)
        if isinstance(cached, str):
            return cached
        digest = digest_file(path)
        self.put(path, digest)
        return digest

    def save(self) -> None:
        """Write the cache file when an entry was added; an error is ignored, as the cache only saves time."""
        if self._changed:
            try:
                write_json(self.path, self._entries)
            except OSError:
                return
            self._changed = False
