"""Which installed libraries a notebook will import, read from its source and from the project's modules it imports."""

import ast
import functools
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlnb.kernels.server.preload import site_folders


def third_party_imports(sources: Iterable[str], folder: Path) -> list[str]:
    """Return the third-party modules that code cells import at top level, in order, through the project's modules too.

    `folder` is the notebook's working directory. What cannot be parsed or found is ignored.
    """
    path = [str(folder), *(entry for entry in sys.path if entry)]
    modules: dict[str, None] = {}
    seen: set[str] = set()
    for source in sources:
        for name in imported_names(plain_code(source)):
            _follow(name, path, modules, seen)
    return list(modules)


def plain_code(source: str) -> str:
    """Return a cell's code without the lines that only IPython understands."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join("" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines())


@functools.lru_cache(maxsize=512)
def imported_names(source: str) -> tuple[str, ...]:
    """Return the dotted names that code imports outside of functions and classes."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ()
    return tuple(_names_in(tree.body))


def _names_in(body: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names if alias.name != "*")
        elif isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for part in ("body", "orelse", "finalbody"):
                yield from _names_in(getattr(statement, part, []))
            for handler in getattr(statement, "handlers", []):
                yield from _names_in(handler.body)


def _follow(name: str, path: list[str], modules: dict[str, None], seen: set[str]) -> None:
    if name in seen or name.partition(".")[0] in sys.stdlib_module_names:
        return
    seen.add(name)
    file = _module_file(name, tuple(path))
    if file is None:
        return
    if file.startswith(site_folders()):
        modules[name] = None
    elif file.endswith(".py"):
        for other in _imported_by(file, _modified(file)):
            _follow(other, path, modules, seen)


@functools.lru_cache(maxsize=512)
def _imported_by(file: str, modified: int) -> tuple[str, ...]:
    """Return what a source file imports; `modified`, its time, is part of the cache's key."""
    try:
        return imported_names(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ()


def _modified(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


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
