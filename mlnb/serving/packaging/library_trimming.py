"""Deletes the files of libraries that a service never reads: `python library_trimming.py FOLDER [WHOLE ...]`.

The folder `-` is that of this Python; of the libraries WHOLE only tests, tools that build extensions, type stubs,
symbols for debuggers and compiled modules are deleted. It runs inside an image's first stage and over a Lambda package,
so it imports the standard library only. A file that was deleted by mistake does not go unnoticed: a service is ready
only when the golden rows get the notebook's predictions.
"""

import ast
import importlib
import re
import shutil
import struct
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
TOOLS_ALONE = {".pyx", ".pxd", ".h", ".hpp", ".c", ".cpp", ".a", ".f", ".f90", ".pyi"}  # compilers and editors
BUILD_TOOLS = "numpy/distutils"  # f2py stays: `from numpy import *`, as in SciPy, imports it
PAGE = "bentoml/_internal/server/static_content"  # of BentoML's page: the service has another one
ELF = b"\x7fELF\x02\x01"  # 64 bits, the lowest byte first
FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")


def trim_tests(folder: Path) -> None:
    """Delete the tests of libraries, files that only compilers and editors read, and compiled Python modules.

    An image compiles the modules that its service imports.
    """
    for name in ("tests", "test", "__pycache__"):
        for path in list(folder.rglob(name)):
            if path.is_dir():
                shutil.rmtree(path)
    shutil.rmtree(folder / BUILD_TOOLS, ignore_errors=True)
    for path in list(folder.rglob("*")):
        tests = path.suffix == ".so" and COMPILED_TESTS.match(path.name)
        if (path.suffix in TOOLS_ALONE or tests) and path.is_file():
            path.unlink()


def trim_page(folder: Path) -> None:
    """Delete the scripts of BentoML's page; BentoML needs the folder."""
    for path in (folder / PAGE).glob("*"):
        path.unlink()


def trim_symbols(folder: Path) -> None:
    """Delete what only debuggers read of compiled libraries: all that the system does not load into memory.

    A trimmed file is a new file: installers link to files of their cache, which stay as they are.
    """
    for path in list(folder.rglob("*.so*")):
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        loaded = keep_loaded(content)
        if len(loaded) < len(content):
            trimmed = path.with_name(f"{path.name}.trimmed")
            trimmed.write_bytes(loaded)
            shutil.copystat(path, trimmed)
            trimmed.replace(path)


def keep_loaded(content: bytes) -> bytes:
    """Return a compiled library without its symbols for debuggers, as `strip` and `sstrip` do.

    Args:
        content: of a file; one that is not a 64-bit ELF library of Linux is returned unchanged.
    """
    if not content.startswith(ELF) or len(content) < FILE_HEADER.size:
        return content
    header = list(FILE_HEADER.unpack_from(content))
    first, size, count = header[5], header[9], header[10]
    end = first + size * count
    for number in range(count):
        _, _, offset, _, _, stored, _, _ = SEGMENT.unpack_from(content, first + number * size)
        end = max(end, offset + stored)
    header[6] = header[12] = header[13] = 0  # the table of sections, which lies behind all segments
    return content if end >= len(content) else FILE_HEADER.pack(*header) + content[FILE_HEADER.size : end]


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
    if not (folder / "scipy").is_dir():
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
    """Delete all of these files; of the libraries in `whole` not those that another service could import."""
    trim_tests(folder)
    trim_examples(folder)
    trim_page(folder)
    for name, function in (("pygments", trim_pygments), ("scipy", trim_scipy)):
        if name not in whole:
            function(folder)
    trim_symbols(folder)  # last: `trim_scipy` compares paths with those of the libraries in memory


if __name__ == "__main__":
    site = sysconfig.get_path("purelib") if sys.argv[1] == "-" else sys.argv[1]
    trim(Path(site).resolve(), sys.argv[2:])
