"""Which modules a service needs: found by following imports, so that no list can be forgotten."""

import ast
from collections.abc import Iterator
from pathlib import Path

import mlnb

PACKAGE = "mlnb"
HERE = Path(mlnb.__file__).parent.parent  # the folder that holds the package


def follow_imports(entry: Path, project: Path | None = None) -> dict[str, Path]:
    """Return the modules of mlnb and of the project that a script imports, directly or not, by name.

    Args:
        entry: the service's script.
        project: folder of a project whose own modules a service may import, beside mlnb's.

    Returns:
        where each file goes, relative to the script -> where it is.
    """
    found: dict[str, Path] = {}
    waiting = [(entry, "")]
    while waiting:
        path, package = waiting.pop()
        for name in _imported(path, package):
            for place, file in _files_of(name, project):
                if place not in found and file != entry:
                    found[place] = file
                    waiting.append((file, ".".join(Path(place).parent.parts)))
    return dict(sorted(found.items()))


def _imported(path: Path, package: str) -> Iterator[str]:
    """Yield the dotted names that a file imports; `from a import b` gives a and a.b, as b may be a module.

    Imports for type checkers do not run, and those inside the functions of a package's `__init__` are its
    lazy facade, which is for people and not for modules: both are left out.
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
            parts = package.split(".")
            base = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif not (lazy and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            waiting.extend(ast.iter_child_nodes(node))


def _files_of(name: str, project: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield place and file of what importing a module runs: its packages' `__init__` and its own."""
    parts = name.split(".")
    root = HERE if parts[0] == PACKAGE else project
    for depth in range(1, len(parts) + 1 if root else 0):
        folder = Path(*parts[:depth])
        for place in (folder / "__init__.py", folder.with_suffix(".py")):
            if root and (root / place).is_file():
                yield place.as_posix(), root / place
                break
