"""Deletes from a folder of libraries what a service never reads: `python trimming.py [folder]`, default: its own.

It runs inside an image's first stage and over a Lambda package, so it needs Python alone. What was deleted by
mistake cannot go unnoticed: a service is ready only when the golden rows get the notebook's predictions.
"""

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path

COMPILED_FROM = {".pyx", ".pxd", ".h", ".hpp", ".c", ".cpp", ".a", ".f", ".f90"}


def trim_tests(folder: Path) -> None:
    """Delete the tests of libraries, and what only compilers read."""
    for path in [*folder.rglob("tests"), *folder.rglob("test")]:
        if path.is_dir():
            shutil.rmtree(path)
    for path in list(folder.rglob("*")):
        if path.suffix in COMPILED_FROM and path.is_file():
            path.unlink()


def trim_scipy(folder: Path) -> None:
    """Delete the parts of SciPy that nobody here imports: LightGBM needs sparse matrices, scikit-learn all of it."""
    if importlib.util.find_spec("sklearn") or not importlib.util.find_spec("scipy"):
        return
    if importlib.util.find_spec("lightgbm"):
        importlib.import_module("lightgbm")
    loaded = {name.split(".")[1] for name in sys.modules if name.startswith("scipy.")}
    for path in (folder / "scipy").iterdir():
        if path.is_dir() and path.name not in loaded | {"__pycache__"}:
            shutil.rmtree(path)
    mapped = Path("/proc/self/maps").read_text()
    for path in (folder / "scipy.libs").glob("*"):
        if str(path) not in mapped:
            path.unlink()


if __name__ == "__main__":
    site = Path(sys.argv[1] if len(sys.argv) > 1 else sysconfig.get_path("purelib")).resolve()
    trim_tests(site)
    trim_scipy(site)
