"""Imports are declared, declared requirements are used, and constraints.txt satisfies them."""

import ast
import configparser
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
HASHED = tuple(
    ROOT / name
    for name in ("requirements-dev.txt", "requirements-docs.txt", "mlnb/serving/packaging/library_hashes.txt")
)
OWN = {"mlnb", "tests", "service", "setup"}
# Declared without an import of ours, and why.
UNSEEN = {
    "coverage": "make coverage runs it as a module",
    "latex2mathml": "make docs: formulas",
    "mkdocs": "make docs",
    "mkdocs-material": "make docs: theme and search",
    "zizmor": "make check audits the workflows with it",
    "execnb": "a cap: nbdev 2.4 fails at import with newer ones",
    "fastcore": "a cap: as execnb",
    "ghapi": "a cap: as execnb",
    "nbdev": "its commands test and export notebooks",
    "httptools": "uvicorn reads requests with it, four times as fast",
    "uvloop": "uvicorn's loop where it is installed: steadier answers",
    "opentelemetry-sdk": "the version on which BentoML and W&B agree",
    "ipykernel": "the kernel that stages run in",
    "jupyterlab": "mlnb lab starts it",
    "openpyxl": "pandas reads Excel files with it",
    "cffi": "LightGBM takes a long table's columns from Arrow with it",
    "pyarrow": "pandas reads and writes Parquet with it",
    "xgboost": "an optional model family imports it by name",
    "catboost": "an optional model family imports it by name",
    "model-signing": "mlnb export --to signed imports it by name",
    "pyopenssl": "model-signing imports it without requiring it",
    "optuna-dashboard": "an optional page of mlnb ui",
    "psycopg": "SQLAlchemy reaches PostgreSQL with it",
    "sqlalchemy-bigquery": "SQLAlchemy reaches BigQuery with it",
    "s3fs": "fsspec reads s3:// with it",
    "gcsfs": "fsspec reads gs:// with it",
    "adlfs": "fsspec reads abfs:// with it",
    "axe-core-python": "tests read the script in it that checks pages for accessibility",
    "awslambdaric": "tests answer Lambda's runtime interface with it",
    "kubernetes-validate": "manifests are held against Kubernetes' schemas in tests",
    "build": "makes the wheel in .ci/run",
    "hypothesis": "property tests",
    "import-linter": "make check",
    "ipywidgets": "widgets and tqdm's bars in the notebooks that both engines execute",
    "jupytext": "notebooks as text, for whoever writes them in an editor",
    "mypy": "make check",
    "pytest": "make test",
    "pytest-timeout": "make test",
    "pytest-xdist": "make test",
    "ruff": "make check",
    "schemathesis": "its command asks the service everything that its OpenAPI allows",
    "setuptools": "the build backend",
    "uv": "make constraints, and fast installation",
}


def sets() -> dict[str, list[Requirement]]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    keys = [key for key in parser["DEFAULT"] if key.endswith("_requirements")]
    return {
        key.removesuffix("_requirements"): [Requirement(line) for line in parser["DEFAULT"][key].split()]
        for key in keys
    }


def sources(folder: str) -> list[str]:
    files = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    sources = [path.read_text(encoding="utf-8") for path in files]
    for path in (ROOT / folder).rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources += ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return sources


def imported(folders: tuple[str, ...]) -> set[str]:
    """Return the distributions that the code in some folders imports."""
    names: set[str] = set()
    for source in (text for folder in folders for text in sources(folder)):
        try:
            nodes = list(ast.walk(ast.parse(source)))
        except SyntaxError:  # a cell with a magic
            continue
        names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.partition(".")[0] for name in names} - OWN - set(sys.stdlib_module_names)
    distributions = importlib.metadata.packages_distributions()
    return {canonicalize_name(distributions[top][0]) for top in tops if top in distributions}


def names(chosen: list[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in chosen}


def test_every_import_is_declared() -> None:
    declared = names([r for name, chosen in sets().items() for r in chosen if name not in ("dev", "bench")])
    needed = imported(("mlnb", "nbs", "bentos"))
    through = {"starlette", "pydantic", "jupyter-client", "scipy", "ipython", "cycler", "threadpoolctl", "markupsafe"}
    through |= {"joblib"}  # whose reading of n_jobs scikit-learn uses
    through |= {"click", "prometheus-client"}  # BentoML's command line, and what its metrics are made of
    through |= {"pyzmq", "tornado", "traitlets"}  # what ipykernel, whose parts the warm kernels are made of, stands on
    through |= {"dask"}  # whose settings distributed reads
    through |= {"jupyter-core"}  # the folders of kernels that jupyter-client reads
    through |= {"jupyter-server"}  # the server of JupyterLab, which it requires
    assert needed - declared - through == set(), "declare it in settings.ini, then make constraints"


def test_every_declared_requirement_is_used() -> None:
    declared = {name for kind, chosen in sets().items() for name in names(chosen) if kind != "bench"}  # peers, by name
    used = imported(("mlnb", "nbs", "bentos", "tests", "scripts", "benchmarks"))
    assert declared - used - set(UNSEEN) == set(), "delete it from settings.ini, or state its use in UNSEEN"


def test_a_service_pins_nothing_beyond_the_serving_set() -> None:
    requirements = pytest.importorskip("mlnb.serving.packaging.library_requirements")
    assert {*requirements.BASE, *requirements.BY_FILE.values()} <= names(sets()["serving"])


def test_constraints_satisfy_the_requirements() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "constraints.py", "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_constraints_name_no_hosts_and_no_paths() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert not any(mark in text for mark in ("://", "/", "@", "#", "--"))
    for path in HASHED:
        text = path.read_text(encoding="utf-8").replace("    --hash=sha256:", "")
        assert not any(mark in text for mark in ("://", "/", "@", "#", "--")), path


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("pandas==2.2.3", "pandas==2.2.3 does not satisfy pandas<3.1,>=3.0"),
        ("pandas @ https://example.org/pandas.whl", "is not of the form"),
        ("", "pandas: 0 versions for Python 3.11, expected one"),
        ("pandas==3.0.1\npandas==3.0.2", "pandas: 2 versions for Python 3.13, expected one"),
    ],
)
def test_outdated_constraints_are_reported(line: str, problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import constraints

    problems = constraints.problems(["pandas>=3.0,<3.1"], line)
    assert any(problem in text for text in problems), problems


DIGEST = f" \\\n    --hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("hashed", "problem"),
    [
        (f"pandas==3.0.1{DIGEST}\n", ""),
        ("pandas==3.0.1\n", "'pandas==3.0.1' has no hashes"),
        ("pandas==3.0.1 \\\n    --hash=md5:00\n", "has no hashes, or other text"),
        (f"--index-url https://example.org{DIGEST}\n", "is not of the form"),
        (f"pandas==3.0.2{DIGEST}\n", "pandas==3.0.2 is not in constraints.txt"),
        ("", "pandas: 0 versions for Python 3.11"),
    ],
)
def test_files_with_hashes_have_one_for_each_library(
    hashed: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import constraints

    problems = constraints.hash_problems(["pandas>=3.0,<3.1"], "pandas==3.0.1\n", hashed)
    assert bool(problems) == bool(problem)
    assert not problem or any(problem in text for text in problems), problems


def test_the_wheel_requires_the_three_base_sets() -> None:
    required = [Requirement(text) for text in importlib.metadata.requires("mlnb") or []]
    base = names([r for r in required if r.marker is None])
    assert base == names(sets()["serving"] + sets()["modelling"] + sets()["notebook"])
