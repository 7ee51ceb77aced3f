"""Deletes from a folder of libraries what a service never reads: `python trimming.py FOLDER [KEPT ...]`.

The folder `-` is this Python's own; libraries that are kept lose their tests alone. It runs inside an image's first
stage and over a Lambda package, so it needs Python alone. What was deleted by mistake cannot go unnoticed: a service
is ready only when the golden rows get the notebook's predictions.
"""

import ast
import importlib.util
import re
import shutil
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

COMPILED_TESTS = re.compile(r"_simd\.|_test_|_\w+_tests\.")  # NumPy's and SciPy's, beside what they test
LEXERS = {"__init__.py", "_mapping.py", "python.py", "special.py"}  # a service shows Python, in a traceback
ASIDE = {"scipy", "numpy", "mlnb", "_bentoml_impl"}  # SciPy itself, and who imports it where a service does not go
COMPILED_FROM = {".pyx", ".pxd", ".h", ".hpp", ".c", ".cpp", ".a", ".f", ".f90"}


def trim_tests(folder: Path) -> None:
    """Delete the tests of libraries, and what only compilers read."""
    for path in [*folder.rglob("tests"), *folder.rglob("test")]:
        if path.is_dir():
            shutil.rmtree(path)
    for path in list(folder.rglob("*")):
        tests = path.suffix == ".so" and COMPILED_TESTS.match(path.name)
        if (path.suffix in COMPILED_FROM or tests) and path.is_file():
            path.unlink()


def trim_examples(folder: Path) -> None:
    """Delete scikit-learn's sets of data."""
    for name in ("data", "images", "descr"):
        shutil.rmtree(folder / "sklearn" / "datasets" / name, ignore_errors=True)


def trim_pygments(folder: Path) -> None:
    """Delete what Pygments colours other languages by."""
    for path in (folder / "pygments" / "lexers").glob("*.py"):
        if path.name not in LEXERS:
            path.unlink()


def trim_scipy(folder: Path) -> None:
    """Delete the parts of SciPy that no library here imports; where LightGBM alone does, those that it loads not."""
    if not importlib.util.find_spec("scipy"):
        return
    places = {path for path in folder.iterdir() if path.is_dir() and path.name not in ASIDE}
    users = {path for path in places if next(named(folder, path), "")}
    if alone := {path.name for path in users} <= {"lightgbm"}:
        if users:
            importlib.import_module("lightgbm")
        needed = {name.split(".")[1] for name in sys.modules if name.startswith("scipy.")}
    else:
        needed = follow(folder, users)
    for path in (folder / "scipy").iterdir():
        if path.is_dir() and path.name not in needed | {"__pycache__", "_lib"}:
            shutil.rmtree(path)
    if not alone:
        return
    mapped = Path("/proc/self/maps").read_text()
    for path in (folder / "scipy.libs").glob("*"):
        if str(path) not in mapped:
            path.unlink()


def follow(folder: Path, places: set[Path]) -> set[str]:
    """Return the parts of SciPy that the modules in some places import, wherever they say so, and what these need."""
    found = set[str]()
    while places:
        parts = {part for place in places for part in named(folder, place) if (folder / "scipy" / part).is_dir()}
        places = {folder / "scipy" / part for part in parts - found}
        found |= parts
    return found


def named(folder: Path, place: Path) -> Iterator[str]:
    """Give the names below SciPy's that the modules in a place import."""
    for file in place.rglob("*.py"):
        source = file.read_bytes()
        if b"scipy" not in source and "scipy" not in file.parts:
            continue
        package = list(file.relative_to(folder).parent.parts)
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                module = ".".join([*base, *filter(None, [node.module])])
                names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
            yield from (name.split(".")[1] for name in names if name.startswith("scipy."))


def trim(folder: Path, kept: Collection[str]) -> None:
    """Delete all of that, of the libraries that are kept their tests alone."""
    trim_tests(folder)
    trim_examples(folder)
    for name, part in (("pygments", trim_pygments), ("scipy", trim_scipy)):
        if name not in kept:
            part(folder)


if __name__ == "__main__":
    site = sysconfig.get_path("purelib") if sys.argv[1] == "-" else sys.argv[1]
    trim(Path(site).resolve(), sys.argv[2:])
