"""The zip of a Lambda function: handler, request path, model and the libraries at their verified versions."""

import importlib.metadata
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mlnb.codec import convert
from mlnb.engine.files import writing
from mlnb.errors import ServingError
from mlnb.serving.packaging.bundles import Bundle, tree_files
from mlnb.serving.packaging.imported_modules import follow_imports
from mlnb.serving.packaging.library_requirements import SERVER, imported_versions, pin

HANDLER = Path(__file__).with_name("lambda_handler.py")
TRIMMING = Path(__file__).parents[1] / "packaging" / "library_trimming.py"
MOST_UNZIPPED = 250 * 2**20  # bytes of a function and its layers; AWS Lambda, quotas
MOST_UPLOADED = 50 * 2**20  # bytes of a zip that is sent directly; larger ones go through S3
PYTHONS = ((3, 11), (3, 12), (3, 13))  # Lambda's runtimes that mlnb supports
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
PROBE = """
import json, resource, sys, time
start = time.perf_counter()
import handler
rows = handler.PREDICTOR.golden.rows
event = {"version": "2.0", "rawPath": "/predict", "requestContext": {"http": {"method": "POST"}}}
first = handler.handle({**event, "body": json.dumps(rows[:1])}, None)
cold = time.perf_counter() - start
whole = handler.handle({**event, "body": json.dumps(rows)}, None)
same = json.loads(whole["body"]) == handler.PREDICTOR.golden.predictions
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"same": same, "body": whole["body"][:300], "cold_seconds": cold, "peak_bytes": peak}))
"""


class FunctionProbe(msgspec.Struct, frozen=True):
    """What a new process measured with the package alone.

    Args:
        same: whether the golden rows got the notebook's predictions.
        body: start of the response.
        cold_seconds: seconds for imports, model and first response.
        peak_bytes: peak memory.
    """

    same: bool
    body: str
    cold_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class LambdaPackage:
    """A zip that was written, with its measurements.

    Attributes:
        file: the zip.
        zipped: bytes of the zip.
        unzipped: bytes of its files.
        cold_seconds: seconds for imports, model and first response, in a new process here.
        peak: peak memory in bytes.
        rows: golden rows that got the notebook's predictions.
    """

    file: Path
    zipped: int
    unzipped: int
    cold_seconds: float
    peak: int
    rows: int


def build_lambda_package(bundle: Bundle, file: Path) -> LambdaPackage:
    """Return the package written to `file`; the same bundle and libraries give the same bytes.

    Raises:
        ServingError: this system is not Lambda's, the package is too large for Lambda, or a golden row gets another
            prediction than in the notebook.
    """
    if sys.platform != "linux" or sys.version_info[:2] not in PYTHONS:
        raise ServingError("A Lambda package holds this environment's libraries: expected Linux and Python 3.11-3.13.")
    with tempfile.TemporaryDirectory(prefix="mlnb-lambda-") as temporary:
        folder = Path(temporary)
        model = bundle.folder / "model"
        shutil.copytree(model, folder / "model")
        shutil.copyfile(HANDLER, folder / "handler.py")
        for path, source in follow_imports(HANDLER).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / path)
        names = imported_versions((bundle.folder / "requirements.txt").read_text("utf-8")).keys() - {*SERVER}
        for line in pin(names).splitlines():
            if line and not line.startswith("#"):
                _copy_library(line.partition("==")[0], folder)
        _copy_openmp(folder)
        subprocess.run(
            [sys.executable, "-P", "-S", str(TRIMMING), str(folder), *names], check=True, env=_environment(folder)
        )
        _compile(folder)
        probe = _probe(folder)
        unzipped = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        if unzipped > MOST_UNZIPPED:
            raise ServingError(
                f"The function has {unzipped / 2**20:.0f} MB unzipped, expected at most {MOST_UNZIPPED / 2**20:.0f}. "
                "Boosted trees and linear models need no scikit-learn and fit; deploy larger ones in an image."
            )
        _zip(folder, file)
    rows = len(bundle.read_golden().rows)
    return LambdaPackage(file, file.stat().st_size, unzipped, probe.cold_seconds, probe.peak_bytes, rows)


def _copy_library(name: str, folder: Path) -> None:
    """Copy an installed distribution's files, without byte code."""
    for entry in importlib.metadata.distribution(name).files or []:
        if ".." in entry.parts or "__pycache__" in entry.parts or entry.suffix == ".pyc":
            continue
        (folder / entry).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(entry.locate()), folder / entry)


def _copy_openmp(folder: Path) -> None:
    """Copy OpenMP from scikit-learn's wheel to where Lambda looks for libraries: its image has none."""
    if not (folder / "lightgbm").is_dir():
        return
    (folder / "lib").mkdir(exist_ok=True)
    for entry in importlib.metadata.distribution("scikit-learn").files or []:
        if entry.name.startswith("libgomp"):
            shutil.copyfile(str(entry.locate()), folder / "lib" / "libgomp.so.1")
            return
    raise ServingError("scikit-learn's wheel holds no libgomp here; install it from a wheel: pip install scikit-learn")


def _compile(folder: Path) -> None:
    """Compile every module; with hashes instead of times the byte code is reproducible, and valid in a zip."""
    for path in sorted(folder.rglob("*.py")):
        try:
            py_compile.compile(
                str(path),
                dfile=path.relative_to(folder).as_posix(),
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:  # templates, and tests for other versions of Python: never imported
            continue


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Python finds only the package, as on Lambda."""
    return {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(folder),
        "LAMBDA_TASK_ROOT": str(folder),
        "LD_LIBRARY_PATH": str(folder / "lib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
    }


def _probe(folder: Path) -> FunctionProbe:
    """Return what a new process measured that predicts the golden rows with the files of the folder only."""
    done = subprocess.run(
        [sys.executable, "-P", "-S", "-c", PROBE],
        env=_environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServingError(f"The function does not start from its package alone:\n{done.stderr[-2000:]}")
    probe = convert(json.loads(done.stdout.splitlines()[-1]), FunctionProbe, "the function's output")
    if not probe.same:
        raise ServingError(f"The function and the notebook differ on the golden rows: {probe.body}")
    return probe


def _zip(folder: Path, file: Path) -> None:
    """Write a zip whose bytes depend on names and contents alone."""
    compiled = sorted(path for path in folder.rglob("__pycache__/*.pyc"))
    with writing(file) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted([*tree_files(folder), *compiled]):
            info = zipfile.ZipInfo(path.relative_to(folder).as_posix(), ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o755 if ".so" in path.name else 0o644) << 16
            archive.writestr(info, path.read_bytes())
