"""The modules that a service needs: found by following imports, so that no list has to be maintained."""

import ast
import shutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import mlnb
from mlnb.methods.encoding.custom_encoders import EncoderCode
from mlnb.methods.models.custom_families import CODE_FILE

PACKAGE = "mlnb"
HERE = Path(mlnb.__file__).parent.parent  # the folder that holds the package


def copy_modules(
    folder: Path, service: Path, models: Iterable[Path], encoders: Iterable[EncoderCode], project: Path | None
) -> None:
    """Copy the modules of mlnb and of the project that a service imports.

    Args:
        folder: of the bundle.
        service: folder with service.py.
        models: folders of fitted models; custom families in them may import modules.
        encoders: custom encoders, which may import modules.
        project: folder whose modules the service may import.
    """
    modules = follow_imports(service / "service.py", project)
    for model in models:
        for code in sorted(model.rglob(CODE_FILE)):
            modules |= follow_imports(code)
    for custom in encoders:
        modules |= follow_code(custom.code.encode())
    for path, source in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / path)


def follow_imports(entry: Path, project: Path | None = None) -> dict[str, Path]:
    """Return the modules of mlnb and of the project that a script imports, directly or indirectly.

    Args:
        entry: the service's script.
        project: folder of a project whose modules a service may import, in addition to those of mlnb.

    Returns:
        the path of each file relative to the script -> the file.
    """
    modules = follow_code(entry.read_bytes(), project)
    return {target: file for target, file in modules.items() if file != entry}


def follow_code(source: bytes, project: Path | None = None) -> dict[str, Path]:
    """Return the modules of mlnb and of the project that code imports, as `follow_imports`."""
    modules: dict[str, Path] = {}
    seen: set[str] = set()
    waiting = [(source, "", False)]
    while waiting:
        for name in _imported_names(*waiting.pop()):
            parts = name.split(".")
            for module in (".".join(parts[:depth]) for depth in range(1, len(parts) + 1)):  # its packages, and itself
                if module in seen:
                    continue
                seen.add(module)
                if file := _file_of(module, project):
                    target = file.relative_to(HERE if parts[0] == PACKAGE else project or HERE)
                    modules[target.as_posix()] = file
                    waiting.append((file.read_bytes(), ".".join(target.parent.parts), file.name == "__init__.py"))
    return dict(sorted(modules.items()))


@lru_cache(maxsize=4096)  # a process that packages many models parses a module once
def _imported_names(source: bytes, package: str, lazy: bool) -> tuple[str, ...]:
    """Return the dotted names that a module imports; `from a import b` gives a and a.b, as b may be a module.

    Imports for type checkers do not run, and those inside the functions of a package's `__init__` are a lazy facade
    for interactive use: both are left out.

    Args:
        source: of the module.
        package: dotted name of the package that relative imports start from.
        lazy: whether the imports inside functions are left out.
    """
    return tuple(dict.fromkeys(_find_imports(source, package, lazy)))


def _find_imports(source: bytes, package: str, lazy: bool) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(source)]
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
            waiting.extend(_inner_statements(node))


def _inner_statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements inside one: an import is never part of an expression, and there are many of those."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        yield from getattr(node, field, ())


def _file_of(module: str, project: Path | None) -> Path | None:
    """Return the file of a module of mlnb or of the project, which is its `__init__` if it is a package."""
    parts = module.split(".")
    if (root := HERE if parts[0] == PACKAGE else project) is None:
        return None
    folder = root.joinpath(*parts)
    return next((path for path in (folder / "__init__.py", folder.with_suffix(".py")) if path.is_file()), None)
