"""Deletes the files of libraries that a service never reads: `python library_trimming.py FOLDER [WHOLE ...]`.

The folder `-` is that of this Python; of the libraries WHOLE only the tests are deleted. It runs inside an image's
first stage and over a Lambda package, so it imports the standard library only. A file that was deleted by mistake does
not go unnoticed: a service is ready only when the golden rows get the notebook's predictions.
"""

import ast
import importlib.util
import re
import shutil
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

COMPILED_TESTS = re.compile(r"_simd\.|_test_|_\w+_tests\.")  # of NumPy and SciPy, next to the modules they test
LEXERS = {"__init__.py", "_mapping.py", "python.py", "special.py"}  # a service shows Python code in tracebacks
IGNORED = {
    "scipy",
    "numpy",
    "mlnb",
    "_bentoml_impl",
}  # SciPy itself, and importers on paths that a service does not take
COMPILED_FROM = {".pyx", ".pxd", ".h", ".hpp", ".c", ".cpp", ".a", ".f", ".f90"}


def trim_tests(folder: Path) -> None:
    """Delete the tests of libraries, and the files that only compilers read."""
    for path in [*folder.rglob("tests"), *folder.rglob("test")]:
        if path.is_dir():
            shutil.rmtree(path)
    for path in list(folder.rglob("*")):
        tests = path.suffix == ".so" and COMPILED_TESTS.match(path.name)
        if (path.suffix in COMPILED_FROM or tests) and path.is_file():
            path.unlink()


def trim_examples(folder: Path) -> None:
    """Delete the example data sets of scikit-learn."""
    for name in ("data", "images", "descr"):
        shutil.rmtree(folder / "sklearn" / "datasets" / name, ignore_errors=True)


def trim_pygments(folder: Path) -> None:
    """Delete the lexers of Pygments for other languages."""
    for path in (folder / "pygments" / "lexers").glob("*.py"):
        if path.name not in LEXERS:
            path.unlink()


def trim_scipy(folder: Path) -> None:
    """Delete the subpackages of SciPy that no library imports; if only LightGBM does, those that it does not load."""
    if not importlib.util.find_spec("scipy"):
        return
    packages = {path for path in folder.iterdir() if path.is_dir() and path.name not in IGNORED}
    users = {path for path in packages if next(scipy_names(folder, path), "")}
    if alone := {path.name for path in users} <= {"lightgbm"}:
        if users:
            importlib.import_module("lightgbm")
        needed = {name.split(".")[1] for name in sys.modules if name.startswith("scipy.")}
    else:
        needed = scipy_subpackages(folder, users)
    for path in (folder / "scipy").iterdir():
        if path.is_dir() and path.name not in needed | {"__pycache__", "_lib"}:
            shutil.rmtree(path)
    if not alone:
        return
    mapped = Path("/proc/self/maps").read_text()
    for path in (folder / "scipy.libs").glob("*"):
        if str(path) not in mapped:
            path.unlink()


def scipy_subpackages(folder: Path, packages: set[Path]) -> set[str]:
    """Return the subpackages of SciPy that the modules of some packages import anywhere, with their dependencies."""
    needed = set[str]()
    while packages:
        names = {name for path in packages for name in scipy_names(folder, path) if (folder / "scipy" / name).is_dir()}
        packages = {folder / "scipy" / name for name in names - needed}
        needed |= names
    return needed


def scipy_names(folder: Path, package: Path) -> Iterator[str]:
    """Yield the names in SciPy that the modules of a package import."""
    for file in package.rglob("*.py"):
        source = file.read_bytes()
        if b"scipy" not in source and "scipy" not in file.parts:
            continue
        parents = list(file.relative_to(folder).parent.parts)
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                base = parents[: len(parents) - node.level + 1] if node.level else []
                module = ".".join([*base, *filter(None, [node.module])])
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            yield from (name.split(".")[1] for name in names if name.startswith("scipy."))


def trim(folder: Path, whole: Collection[str]) -> None:
    """Delete all of these files; of the libraries in `whole` only their tests."""
    trim_tests(folder)
    trim_examples(folder)
    for name, function in (("pygments", trim_pygments), ("scipy", trim_scipy)):
        if name not in whole:
            function(folder)


if __name__ == "__main__":
    site = sysconfig.get_path("purelib") if sys.argv[1] == "-" else sys.argv[1]
    trim(Path(site).resolve(), sys.argv[2:])
