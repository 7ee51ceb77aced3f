"""Contents of the wheel and of the source distribution, built from a copy of the checkout."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import mlnb
from mlnb.lab.labextension import data_files

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = shutil.ignore_patterns(
    ".venv",
    ".venv-docs",
    "_docs",
    "_proc",
    ".git",
    "runs",
    ".mlnb",
    "build",
    "dist",
    "*.egg-info",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
    "wandb",
)


def build(source: Path, out: Path, kind: str) -> Path:
    """Build a wheel or an sdist without a network and return its path."""
    command = [
        sys.executable,
        "-m",
        "build",
        f"--{kind}",
        "--no-isolation",
        "--outdir",
        str(out),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.iterdir())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "mlnb"
    shutil.copytree(ROOT, folder, ignore=SKIPPED)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_wheel_contains_the_built_in_project(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.removeprefix("mlnb/builtin/") for name in names if name.startswith("mlnb/builtin/")}
    wanted = [Path("settings.ini"), *Path(ROOT).glob("nbs/stages/*.ipynb")]
    wanted += [path for path in (ROOT / "bentos").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert inside == {str(path.relative_to(ROOT) if path.is_absolute() else path) for path in wanted}


def test_the_wheel_contains_all_modules_and_no_development_files(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    files = [path for path in (ROOT / "mlnb").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {str(path.relative_to(ROOT)) for path in files} <= set(names)
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name and ".data/" not in name}
    assert tops == {"mlnb"}
    assert "mlnb/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".ipynb_checkpoints")]


def test_the_wheel_installs_the_jupyterlab_extension(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    inside = {
        name.partition(".data/data/")[2]: archive.read(name) for name in archive.namelist() if ".data/data/" in name
    }
    assert inside == data_files(mlnb.__version__)


def test_the_wheel_has_the_entry_point_and_requirements(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    texts = {
        name.rpartition("/")[2]: archive.read(name).decode() for name in archive.namelist() if "dist-info/" in name
    }
    assert "mlnb = mlnb.cli.main:main" in texts["entry_points.txt"]
    metadata = texts["METADATA"]
    for line in (
        "License-Expression: Apache-2.0",
        "Requires-Python: >=3.11",
        "Provides-Extra: serving",
        "pandas<3.1",
    ):
        assert line in metadata or line.replace("License-Expression", "License") in metadata
    assert "](guides/" not in metadata, "links that lead nowhere outside the repository"


def test_a_wheel_from_the_source_distribution_is_the_same(
    source: Path, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sdist = build(source, tmp_path_factory.mktemp("sdist"), "sdist")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    again = build(next(unpacked.iterdir()), tmp_path_factory.mktemp("again"), "wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
