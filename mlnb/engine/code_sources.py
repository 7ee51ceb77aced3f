"""The dependencies of a stage's code: project modules that it imports, directly or not, and library versions."""

import ast
import os
import site
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import mlnb
from mlnb.engine.digests import (
    StatCache,
    WatchedPaths,
    digest_code,
    digest_file,
    digest_module,
    parse_cell,
    parse_python,
)
from mlnb.engine.library_versions import installed_version
from mlnb.engine.notebook import StageNotebook, imported_names
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue
from mlnb.exported_code import read_exported_code

# A stage that imports the module reads the notebooks of the folder next to the stages.
EXTENSIONS = {
    "mlnb.methods.models.project_families": "models",
    "mlnb.methods.encoding.project_encoders": "encoders",
    "mlnb.methods.metrics.project_metrics": "metrics",
    "mlnb.methods.tables.project_sources": "sources",
}

# Not part of a stage key: a new version of the engine must not rerun every stage.
ENGINE_MODULES = (
    "mlnb.engine",
    "mlnb.kernels",
    "mlnb.executors",
    "mlnb.tracking",
    "mlnb.reports",
    "mlnb.cli",
    "mlnb.errors",
    "mlnb.exported_code",
    "mlnb.environment",
    "mlnb.machine",
    "mlnb.settings",
    "mlnb.redaction",
    "mlnb.url_passwords",
    "mlnb.settings_file",
    "mlnb.typed_settings",
    "mlnb.suggestions",
)
SERVICE = "service.py"  # in the folder of a service, which a parameter of a stage names


class CodeSources:
    """Finds and digests the modules and libraries that code imports; it reads each file once, see `is_current`."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.package = Path(mlnb.__file__).parent
        self._modules: dict[Path, tuple[str, frozenset[str]]] = {}
        self._dependencies: dict[frozenset[str], tuple[dict[str, str], dict[str, str]]] = {}
        self._versions: dict[str, str] = {}
        self._listings: dict[str, frozenset[str]] = {}
        self._located: dict[str, tuple[str, Path] | None] = {}
        self._watched = WatchedPaths()
        self._site_packages = [Path(folder) for folder in site.getsitepackages() if os.path.isdir(folder)]

    def dependencies(self, imports: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the dependencies of imported names, direct or not.

        Args:
            imports: Dotted names.

        Returns:
            The digest of the code of each project module, and the version of each library.
        """
        names = frozenset(imports)
        if names not in self._dependencies:
            self._dependencies[names] = self._follow(names)
        return self._dependencies[names]

    def stage_dependencies(
        self, stage: StageNotebook, values: Mapping[str, ParameterValue]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return the dependencies of a stage: of its notebook, and of the services whose folders its parameters name.

        Args:
            stage: The stage.
            values: Of its parameters: a service that it packages is in the bento with all that it imports.
        """
        texts = [values[one.name].value for one in stage.parameters if one.is_file and one.name in values]
        folders = [self.path_of(text) for text in texts if isinstance(text, str) and text and "://" not in text]
        return self.dependencies(stage.imports.union(*(self.service_imports(folder) for folder in folders)))

    def path_of(self, text: str) -> Path:
        """Return the file or folder that a parameter names: that of the project, else of the built-in one."""
        path = self.project.root / text
        return path if path.exists() else self.project.home / text

    def service_imports(self, folder: Path) -> frozenset[str]:
        """Return the names that the code of a service imports; none for a folder without one."""
        if SERVICE not in self._listing(str(folder)):
            return frozenset()
        return self._read("", folder / SERVICE)[1]

    def is_current(self) -> bool:
        """Return whether no file has changed since it was read; else a new instance is needed.

        In a folder only names that code imports matter, and notebooks: a run makes others in the project's folder.
        """
        imported = {part for name in self._located for part in name.split(".")}
        for path in self._watched.changed():
            if path not in self._listings:
                return False
            different = self._listings[path] ^ _names_in(path)
            if any(name in imported or name.endswith((".py", ".ipynb")) for name in different):
                return False
        return True

    def _follow(self, imports: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return the digests of modules and the versions of libraries that names import, directly or not."""
        modules: dict[str, str] = {}
        libraries: set[str] = set()
        waiting = list(imports)
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            located = self._find(name)
            if located is None:
                if not self._is_ours(name):
                    libraries.add(name.partition(".")[0])
                continue
            module, path = located
            if module not in modules and not module.startswith(ENGINE_MODULES) and module != "mlnb":
                modules[module], inner = self._read(module, path)
                waiting.extend(inner)
                waiting.append(module.rpartition(".")[0] or module)  # importing a module runs its package's __init__
                if module in EXTENSIONS:
                    waiting.extend(self._read_extensions(EXTENSIONS[module], modules))
        versions = {name: self.version(name) for name in libraries if name not in sys.stdlib_module_names}
        return dict(sorted(modules.items())), dict(sorted(versions.items()))

    def version(self, library: str) -> str:
        """Return the installed version of an importable library; "none" when it is not installed."""
        if library not in self._versions:
            cache = self.project.source_cache
            for folder in self._site_packages:
                self._watched.add(str(folder))
            cached = [(folder, _names(cache.get(folder))) for folder in self._site_packages]
            versions = {values.get(library) for _, values in cached}
            version = versions.pop() if len(versions) == 1 else None  # None: unknown, or a folder has changed
            if version is None:
                version = installed_version(library)
                for folder, values in cached:
                    cache.put(folder, values | {library: version})
            self._versions[library] = version
        return self._versions[library]

    def _read_extensions(self, kind: str, modules: dict[str, str]) -> set[str]:
        """Add the digests of the notebooks in a folder, such as models, to those of modules; return their imports."""
        names: set[str] = set()
        folder = self.project.notebooks.parent / kind
        for name in sorted(self._listing(str(folder))):
            if name.endswith(".ipynb") and not name.startswith("."):
                label = os.path.relpath(folder / name, self.project.root)
                self._watched.add(str(folder / name))
                code = read_exported_code(folder / name, label)
                modules[label] = digest_code([code])
                names |= imported_names(tree := parse_cell(code))
                for path in declared_files(tree):
                    modules[path] = self._file_digest(self.project.root / path)
        return names

    def _file_digest(self, path: Path) -> str:
        """Return the digest of a file that a class needs; "none" when it cannot be read."""
        self._watched.add(str(path))
        cache: StatCache = self.project.source_cache
        cached = cache.get(path)
        if not isinstance(cached, str):
            try:
                cached = digest_file(path)
            except OSError:
                return "none"
            cache.put(path, cached)
        return cached

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0] == "mlnb"

    def _find(self, name: str) -> tuple[str, Path] | None:
        """Return (module, file) of the longest part of a dotted name that is a module of the project."""
        if name in self._located:
            return self._located[name]
        root = self.package.parent if self._is_ours(name) else self.project.root
        depth, file, folder = 0, "", str(root)
        parts = name.split(".")
        for size, part in enumerate(parts, start=1):
            here = self._listing(folder)
            inside = os.path.join(folder, part)
            if f"{part}.py" in here:
                depth, file = size, f"{inside}.py"
            elif part in here and "__init__.py" in self._listing(inside):
                depth, file = size, os.path.join(inside, "__init__.py")
            if part not in here:
                break
            folder = inside
        located = (".".join(parts[:depth]), Path(file)) if depth else None
        self._located[name] = located
        return located

    def _listing(self, folder: str) -> frozenset[str]:
        """Return the names in a folder; empty when it does not exist."""
        if folder not in self._listings:
            self._watched.add(folder)
            self._listings[folder] = _names_in(folder)
        return self._listings[folder]

    def _read(self, module: str, path: Path) -> tuple[str, frozenset[str]]:
        if path not in self._modules:
            self._watched.add(str(path))
            cache: StatCache = self.project.source_cache
            cached = cache.get(path)
            if cached is None or not _is_digest_with_names(cached):
                source = path.read_text(encoding="utf-8")
                try:
                    tree = parse_python(source)
                    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                    cached = [digest_module(tree), sorted(imported_names(tree, package))]
                except SyntaxError:
                    cached = [digest_code([source]), []]
                cache.put(path, cached)
            self._modules[path] = (cached[0], frozenset(cached[1]))
        return self._modules[path]


def _names_in(folder: str) -> frozenset[str]:
    """Return the names in a folder; empty when it does not exist."""
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def declared_files(tree: ast.Module | None) -> list[str]:
    """Return the paths in the literal `files` of the classes of a notebook, such as {"model": "models/cnn.onnx"}."""
    paths = list[str]()
    for defined in (node for node in ast.walk(tree or ast.Module([], [])) if isinstance(node, ast.ClassDef)):
        for node in defined.body:
            named = isinstance(node, ast.Assign) and any(ast.unparse(target) == "files" for target in node.targets)
            if named and isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                constants = [one.value for one in node.value.values if isinstance(one, ast.Constant)]
                paths += [value for value in constants if isinstance(value, str)]
    return paths


def _names(cached: object) -> dict[str, str]:
    """Return the cached versions of libraries; empty when there are none, or the cache is damaged."""
    return cached if isinstance(cached, dict) else {}


def _is_digest_with_names(cached: object) -> bool:
    """Return whether a cached value is what `_read` puts there: a digest and the names that a module imports."""
    match cached:
        case [str(), list(names)]:
            return all(isinstance(name, str) for name in names)
    return False
