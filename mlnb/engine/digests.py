"""Digests of bytes, JSON values and code, and a cache of values derived from files."""

import ast
import hashlib
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any

from mlnb.engine.files import PRIVATE, read_json, warn_damaged, write_json

PARSING = threading.Lock()
STATEMENT_FIELDS = ("body", "orelse", "finalbody", "handlers", "cases")  # of syntax trees
RACE = 2_000_000_000  # ns: a file that changed this recently may change again within the same clock tick


def digest_bytes(data: bytes | memoryview) -> str:
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


IPYTHON_LINE = re.compile(r"(\s*)([%!?]\S.*|[\w.]+\?{1,2}\s*)")  # %magic, !command, ?name or name?
IPYTHON_VALUE = re.compile(r"(\s*[\w.,\[\] ]+=\s*)([%!].*)")  # name = !command or name = %magic


def plain_python(source: str) -> str:
    """Return a cell's source for `ast`: IPython's magics and shell commands become strings."""
    if source.lstrip().startswith("%%"):
        return repr(source)
    lines = []
    for line in source.splitlines():
        match = IPYTHON_LINE.fullmatch(line) or IPYTHON_VALUE.fullmatch(line)
        lines.append(match[1] + repr(match[2]) if match else line)
    return "\n".join(lines)


def parse_python(source: str) -> ast.Module:
    """Return the syntax tree of a source text; threads take turns, as CPython 3.11 has one counter of depth for all.

    Raises:
        SyntaxError: The text is not Python.
        ValueError: The text has null bytes.
        RecursionError: It is nested too deeply.
    """
    with PARSING:
        try:
            return ast.parse(source)
        except SystemError:  # another library parsed at the same time
            return ast.parse(source)


def parse_cell(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, or None when it is not Python."""
    for text in (source, None):  # a line of plain Python may start with %, as in a multi-line expression
        try:
            return parse_python(plain_python(source) if text is None else text)
        except (SyntaxError, ValueError, RecursionError):
            continue
    return None


def digest_code(sources: Iterable[str]) -> str:
    """Return one digest for cells of code; comments, layout, empty cells and docstrings are ignored."""
    return digest_value([text for source in sources if (text := canonical_code(source)) is not None])


@lru_cache(maxsize=1024)
def canonical_code(source: str) -> str | None:
    """Return the text of a cell's code that its digest depends on; None when there is no code."""
    tree = parse_cell(source)
    return source if tree is None else _canonical_tree(tree)


def digest_module(tree: ast.Module) -> str:
    """Return the digest of a parsed module, which is that of its source; its docstrings are removed."""
    text = _canonical_tree(tree)
    return digest_value([] if text is None else [text])


def _canonical_tree(tree: ast.Module) -> str | None:
    return ast.dump(_without_docstrings(tree)) if tree.body else None


def walk_statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the tree and the statements in it, without their expressions, which are most of a tree's nodes."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in STATEMENT_FIELDS:
            waiting += getattr(node, name, ())


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in walk_statements(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and len(node.body) > 1:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                del node.body[0]
    return tree


Signature = list[int]  # size, modification and change time in ns, and inode of a file


class StatCache:
    """A cache file with a JSON value per file; an entry is valid until the file's size, times or inode change.

    The change time notices a file whose modification time was set back, as `cp -p`, `tar` and `touch -r` do. A file
    that changed within the last two seconds is not cached, as its times could not show another change.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        entries = read_json(path)
        if entries is not None and not isinstance(entries, dict):
            warn_damaged(f"{path} is damaged and is ignored: found {type(entries).__name__}, expected an object.")
        self._entries: dict[str, Any] = entries if isinstance(entries, dict) else {}
        self._changed = False

    def get(self, path: Path) -> Any | None:
        """Return the cached value of `path`; None when there is none or the file has changed since."""
        sys.audit("mlnb.stat", path)
        entry = self._entries.get(str(path))
        if not isinstance(entry, list) or len(entry) != 2:  # none, or in the layout of another version
            return None
        return entry[1] if entry[0] == _signature(path.stat()) else None

    def put(self, path: Path, value: Any) -> None:
        """Cache `value` for `path` as it is now."""
        stat = path.stat()
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > RACE:
            self._entries[str(path)] = [_signature(stat), value]
            self._changed = True

    def forget(self, folder: str) -> None:
        """Forget the values of the files whose path begins with that of a folder."""
        self._entries = {name: entry for name, entry in self._entries.items() if not name.startswith(folder)}
        self._changed = True

    def digest(self, path: Path) -> str:
        """Return the digest of the file's bytes; they are read only when the file may have changed."""
        cached = self.get(path)
        if isinstance(cached, str):
            return cached
        before = _signature(path.stat())
        digest = digest_file(path)
        if before == _signature(path.stat()):
            self.put(path, digest)
        return digest

    def save(self, prune: bool = False) -> None:
        """Write the cache file when an entry was added; an error is ignored, as the cache only saves time.

        Args:
            prune: whether entries of files that do not exist any more are removed.
        """
        if self._changed:
            if prune:
                self._entries = {name: entry for name, entry in self._entries.items() if os.path.exists(name)}
            try:
                write_json(self.path, self._entries, PRIVATE)
            except OSError:
                return
            self._changed = False


class WatchedPaths:
    """The files and folders that something was read from, and which of them may have changed since."""

    def __init__(self) -> None:
        self._seen: dict[str, Signature | None] = {}  # None: it did not exist
        self._unsettled: set[str] = set()

    def add(self, path: str) -> None:
        """Note a file or folder before it is read."""
        if path not in self._seen:
            sys.audit("mlnb.stat", path)
            self._seen[path] = signature = signature_of(path)
            # What changed this recently may change again without a difference.
            if signature is not None and time.time_ns() - max(signature[1:3]) <= RACE:
                self._unsettled.add(path)

    def changed(self) -> Iterator[str]:
        """Yield the paths that are not certainly as they were."""
        for path, seen in self._seen.items():
            if path in self._unsettled or signature_of(path) != seen:
                yield path


def signature_of(path: str) -> Signature | None:
    """Return what changes when a file or folder is written; None when there is none."""
    try:
        return _signature(os.stat(path))
    except OSError:
        return None


def _signature(stat: os.stat_result) -> Signature:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
