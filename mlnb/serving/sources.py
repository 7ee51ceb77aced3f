"""Which of mlnb's own modules a service needs: found by following imports, so that no list can be forgotten."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mlnb

PACKAGE = "mlnb"
ROOT = Path(mlnb.__file__).parent.parent  # the folder that holds the package


def follow_imports(entry: Path) -> list[str]:
    """Return the files of mlnb, as sorted paths relative to `ROOT`, that the script `entry` imports, directly or not."""
    waiting, found = [entry], set()
    while waiting:
        path = waiting.pop()
        package = "" if path == entry else _package_of(path)
        for name in _imported(path, package):
            for file in _files_of(name):
                if file not in found:
                    found.add(file)
                    waiting.append(file)
    return sorted(file.relative_to(ROOT).as_posix() for file in found)


def _imported(path: Path, package: str) -> Iterator[str]:
    """Yield the dotted names that a file imports; `from a import b` gives a and a.b, as b may be a module.

    Imports for type checkers do not run, and those inside the functions of a package's `__init__` are its lazy facade,
    which the house forbids everyone but people to use: both are left out.
    """
    lazy = path.name == "__init__.py"
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package.split(".")[: len(package.split(".")) - node.level + 1]] if node.level else [])
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif not (lazy and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _files_of(name: str) -> Iterator[Path]:
    """Yield the files that importing one of mlnb's modules runs: its packages' `__init__` and its own."""
    parts = name.split(".")
    if parts[0] != PACKAGE:
        return
    for depth in range(1, len(parts) + 1):
        place = ROOT.joinpath(*parts[:depth])
        if (place / "__init__.py").is_file():
            yield place / "__init__.py"
        elif place.with_suffix(".py").is_file():
            yield place.with_suffix(".py")


def _package_of(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)
