"""Digests: of bytes, of values, of code without its prose, and of files that are read once and remembered by stat."""

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

RACE = 2_000_000_000  # ns: a file changed this shortly before it was read may change again within the same tick


def digest_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_value(value: Any) -> str:
    """Return the digest of a JSON value; the order of keys does not count."""
    return digest_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as file:
        return digest_stream(file)


def digest_stream(file: BufferedReader) -> str:
    """Return the SHA-256 of the bytes that are left of an open file, read in blocks."""
    return hashlib.file_digest(file, "sha256").hexdigest()


def plain_python(source: str) -> str:
    """Return a cell's source with IPython's magics and shell lines turned into string statements, for `ast`."""
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
    """Return one digest for cells of code: comments, layout, empty cells and docstrings do not count."""
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
    """Remembers what was derived from a file until its size, time or inode changes.

    A file that was younger than two seconds when it was read is read again, as its time could not show a change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, list[Any]] = read_json(path) or {}
        self._changed = False

    def get(self, path: Path) -> Any | None:
        """Return what was kept for `path`, or None when there is nothing or the file is another by now."""
        entry = self._entries.get(str(path))
        if entry is None:
            return None
        stat = path.stat()
        return entry[3] if entry[:3] == [stat.st_size, stat.st_mtime_ns, stat.st_ino] else None

    def put(self, path: Path, value: Any) -> None:
        """Keep `value` for `path` as it is now."""
        stat = path.stat()
        if time.time_ns() - stat.st_mtime_ns > RACE:
            self._entries[str(path)] = [stat.st_size, stat.st_mtime_ns, stat.st_ino, value]
            self._changed = True

    def digest(self, path: Path) -> str:
        """Return the digest of the file's bytes, reading them only when the file may have changed."""
        known = self.get(path)
        if isinstance(known, str):
            return known
        fresh = digest_file(path)
        self.put(path, fresh)
        return fresh

    def save(self) -> None:
        """Write the cache if anything was learned; a failure to write costs time later, nothing else."""
        if self._changed:
            try:
                write_json(self.path, self._entries)
            except OSError:
                return
            self._changed = False
