"""Which installed libraries a notebook will import, read from its source and from the project's modules it imports."""

import ast
import contextlib
import functools
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from mlnb.kernels.protocol.os_helpers import write_whole
from mlnb.kernels.protocol.parent_paths import imports_cache
from mlnb.kernels.server.preload import file_stamp, site_folders

Entry = tuple[int, int, tuple[str, ...]]  # a file's modification time in nanoseconds, its bytes, what it imports
FORMAT: Final = 2  # of the cache: with relative imports


class CacheFile(msgspec.Struct):
    """What the file of an `ImportCache` holds: entries by file."""

    format: Literal[2]
    entries: dict[str, Entry]


def third_party_imports(sources: Iterable[str], folder: Path, cache: "ImportCache | None" = None) -> list[str]:
    """Return the third-party modules that code cells import at top level, in order, through the project's modules too.

    What cannot be parsed or found is ignored.

    Args:
        sources: of the code cells.
        folder: the notebook's working directory.
        cache: of what modules import; None: that of this user.
    """
    path = [str(folder), *(entry for entry in sys.path if entry)]
    modules: dict[str, None] = {}
    seen: set[str] = set()
    cache = cache or _user_cache()
    for source in sources:
        for name in imported_names(plain_code(source)):
            if not name.startswith("."):  # a notebook is in no package
                _follow(name, path, modules, seen, cache)
    cache.save()
    return list(modules)


class ImportCache:
    """What source files import, kept in a file: parsing the modules of mlnb takes a third of a second.

    An entry is valid until the file's size or time change. A wrong entry costs time only: a module that is not
    preloaded is imported by the notebook. The caches of the engine are not used, as kernels import nothing of it.

    Args:
        path: the file; one that is missing or damaged is written anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = self._read()
        self._new: dict[str, Entry] = {}

    def imports(self, file: str) -> tuple[str, ...]:
        """Return the dotted names that a source file imports, those of its package with a dot ahead.

        There are none when it cannot be read.
        """
        entry, stamp = self._entries.get(file), file_stamp(file)
        if entry is None or entry[:2] != stamp:
            try:
                names = imported_names(Path(file).read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError):
                return ()
            self._entries[file] = self._new[file] = entry = (*stamp, names)
        return entry[2]

    def save(self) -> None:
        """Write the entries of this and of other processes, if some are new; an error is ignored."""
        if not self._new:
            return
        entries = {file: entry for file, entry in (self._read() | self._new).items() if os.path.exists(file)}
        self._new = {}
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
            write_whole(self.path, msgspec.json.encode(CacheFile(FORMAT, entries)))

    def _read(self) -> dict[str, Entry]:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self.path.read_bytes(), type=CacheFile).entries
        return {}


@functools.cache
def _user_cache() -> ImportCache:
    return ImportCache(imports_cache())


def plain_code(source: str) -> str:
    """Return a cell's code without the lines that only IPython understands."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines())


@functools.lru_cache(maxsize=512)
def imported_names(source: str) -> tuple[str, ...]:
    """Return the dotted names that code imports outside of functions and classes, relative ones as they are."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    return tuple(_names_in(tree.body))


def _names_in(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            package = "." * statement.level + (statement.module or "")
            if statement.module:
                yield package
            start = package if package.endswith(".") else f"{package}."
            yield from (start + alias.name for alias in statement.names if alias.name != "*")
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for part in ("body", "orelse", "finalbody"):
                yield from _names_in(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _names_in(handler.body)


def _follow(name: str, path: list[str], modules: dict[str, None], seen: set[str], cache: ImportCache) -> None:
    if name in seen or name.partition(".")[0] in sys.stdlib_module_names:
        return
    seen.add(name)
    file = _module_file(name, tuple(path))
    if file is None:
        return
    if file.startswith(site_folders()):
        modules[name] = None
    elif file.endswith(".py"):
        package = name if os.path.basename(file) == "__init__.py" else name.rpartition(".")[0]
        for other in cache.imports(file):
            with contextlib.suppress(ImportError):  # a relative import outside of a package
                _follow(importlib.util.resolve_name(other, package), path, modules, seen, cache)


@functools.lru_cache(maxsize=2048)
def _module_file(name: str, path: tuple[str, ...]) -> str | None:
    """Return the file of a module, None when it has none; a name in an installed package has the package's file."""
    top, *rest = name.split(".")
    spec = importlib.machinery.PathFinder.find_spec(top, list(path))
    if spec is None:
        spec = getattr(sys.modules.get(top), "__spec__", None)
    if spec is None:
        return None
    if spec.origin and spec.origin.startswith(site_folders()):
        return spec.origin
    for depth, _ in enumerate(rest):
        if spec is None or not spec.submodule_search_locations:
            return None
        spec = importlib.machinery.PathFinder.find_spec(
            ".".join((top, *rest[: depth + 1])), list(spec.submodule_search_locations)
        )
    return spec.origin if spec else None
