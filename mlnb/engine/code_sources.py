"""What a stage's code stands on: the project's modules that it imports, transitively, and the versions of libraries."""

import ast
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import mlnb
from mlnb.engine.digests import StatCache, digest_code
from mlnb.engine.notebook import imported_names
from mlnb.engine.project import Project

# The machinery itself is not part of a stage's key: a new engine must not rerun what it would run alike.
MACHINERY = (
    "mlnb.engine",
    "mlnb.kernels",
    "mlnb.executors",
    "mlnb.tracking",
    "mlnb.reports",
    "mlnb.cli",
    "mlnb.errors",
)
DISTRIBUTIONS = {"sklearn": "scikit-learn", "PIL": "pillow", "yaml": "PyYAML", "dateutil": "python-dateutil"}


class Sources:
    """Finds and digests the modules and libraries behind imports; one for a plan, as files are read once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.package = Path(mlnb.__file__).parent
        self._modules: dict[Path, tuple[str, frozenset[str]]] = {}
        self._versions: dict[str, str] = {}
        self._listings: dict[str, frozenset[str]] = {}
        self._found: dict[str, tuple[str, Path] | None] = {}

    def behind(self, imports: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Return ({project module: digest of its code}, {library: version}) for dotted imported names."""
        modules: dict[str, str] = {}
        libraries: set[str] = set()
        waiting = list(imports)
        seen: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            found = self._find(name)
            if found is None:
                if not self._is_ours(name):
                    libraries.add(name.partition(".")[0])
                continue
            module, path = found
            if module not in modules and not module.startswith(MACHINERY) and module != "mlnb":
                modules[module], inner = self._read(module, path)
                waiting.extend(inner)
                waiting.append(module.rpartition(".")[0] or module)  # a package's __init__ runs too
        versions = {name: self.version(name) for name in libraries if name not in sys.stdlib_module_names}
        return dict(sorted(modules.items())), dict(sorted(versions.items()))

    def version(self, library: str) -> str:
        """Return the installed version of an importable library, "none" when there is none."""
        if library not in self._versions:
            site = Path(sysconfig.get_path("purelib"))
            known = self.project.sources.get(site) or {}
            if library not in known:
                known = known | {library: _installed_version(library)}
                self.project.sources.put(site, known)
            self._versions[library] = known[library]
        return self._versions[library]

    def _is_ours(self, name: str) -> bool:
        return name.partition(".")[0] == "mlnb"

    def _find(self, name: str) -> tuple[str, Path] | None:
        """Return (module, file) of the longest part of a dotted name that is a module of the project."""
        if name in self._found:
            return self._found[name]
        root = self.package.parent if self._is_ours(name) else self.project.root
        found, folder = None, str(root)
        parts = name.split(".")
        for size, part in enumerate(parts, start=1):
            here = self._listing(folder)
            inside = os.path.join(folder, part)
            if f"{part}.py" in here:
                found = ".".join(parts[:size]), Path(f"{inside}.py")
            elif part in here and "__init__.py" in self._listing(inside):
                found = ".".join(parts[:size]), Path(inside, "__init__.py")
            if part not in here:
                break
            folder = inside
        self._found[name] = found
        return found

    def _listing(self, folder: str) -> frozenset[str]:
        """Return the names in a folder; none when it is no folder."""
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]

    def _read(self, module: str, path: Path) -> tuple[str, frozenset[str]]:
        if path not in self._modules:
            cache: StatCache = self.project.sources
            known = cache.get(path)
            if known is None:
                source = path.read_text(encoding="utf-8")
                try:
                    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
                    names = imported_names(ast.parse(source), package)
                except SyntaxError:
                    names = set()
                known = [digest_code([source]), sorted(names)]
                cache.put(path, known)
            self._modules[path] = (known[0], frozenset(known[1]))
        return self._modules[path]


def _installed_version(library: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTIONS.get(library, library))
    except metadata.PackageNotFoundError:
        names = metadata.packages_distributions().get(library)
        return metadata.version(names[0]) if names else "none"


def python_version() -> str:
    """Return the Python minor version, as it counts in a key."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"
