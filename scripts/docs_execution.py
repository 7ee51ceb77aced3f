"""Outputs of the notebooks for the documentation site: executed once, then cached while the code is the same."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from docs_notebooks import joined

from mlnb.engine.code_sources import CodeSources
from mlnb.engine.digests import digest_value, parse_cell
from mlnb.engine.files import write_whole
from mlnb.engine.library_versions import python_version
from mlnb.engine.notebook import imported_names
from mlnb.engine.project import Project

SECONDS = 120  # that a cell may take


def read_cells(notebook: Path) -> list[Any]:
    """Return the cells of a notebook."""
    return list(json.loads(notebook.read_text(encoding="utf-8"))["cells"])


class OutputCache:
    """The outputs of executed notebooks, by what they depend on: code, imported modules and library versions."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.sources = CodeSources(Project.find(root))
        self.used: set[Path] = set()

    def path(self, notebooks: Iterable[Path]) -> Path:
        """Return the file of the outputs of some notebooks that are executed together."""
        texts, names = [], set()
        for notebook in notebooks:
            codes = [joined(cell["source"]) for cell in read_cells(notebook) if cell["cell_type"] == "code"]
            texts.append([notebook.name, codes])
            names |= {name for code in codes if (tree := parse_cell(code)) for name in imported_names(tree)}
        key = digest_value([texts, *self.sources.dependencies(names), python_version()])
        self.used.add(path := self.folder / f"{key.rpartition(':')[2][:32]}.json")
        return path

    def delete_unused(self) -> None:
        """Delete what no notebook of this build needs."""
        for path in set(self.folder.glob("*.json")) - self.used:
            path.unlink()


def executed(notebook: Path) -> list[list[Any]]:
    """Execute a notebook in a warm kernel; return the outputs of each code cell.

    Raises:
        PapermillExecutionError: a cell failed.
    """
    import papermill  # imported in the worker processes only

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, notebook.name)
        os.chdir(notebook.parent)
        papermill.execute_notebook(notebook, out, engine_name="mlnb", progress_bar=False, execution_timeout=SECONDS)
        cells = json.loads(out.read_text(encoding="utf-8"))["cells"]
    return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]


def execute_all(notebooks: list[Path], cache: OutputCache) -> dict[Path, list[list[Any]]]:
    """Return the outputs of each code cell of notebooks; two at a time, those not in the cache are executed."""
    paths = {notebook: cache.path([notebook]) for notebook in notebooks}
    missing = [notebook for notebook, path in paths.items() if not path.exists()]
    if missing:
        print(f"  executing {len(missing)} of {len(notebooks)} notebooks", flush=True)
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            for notebook, outputs in zip(missing, pool.map(executed, missing), strict=True):
                write_whole(paths[notebook], json.dumps(outputs).encode())
    return {notebook: json.loads(path.read_bytes()) for notebook, path in paths.items()}


def execute_pipeline(stages: list[Path], cache: OutputCache) -> dict[str, list[Any]]:
    """Return the outputs of the cells of one short run, by their source; the run is made in a temporary project."""
    path = cache.path(stages)
    if not path.exists():
        print("  running the pipeline of a new project", flush=True)
        mlnb = [sys.executable, "-m", "mlnb.cli.main"]
        with tempfile.TemporaryDirectory() as folder:
            project = Path(folder, "example")
            subprocess.run([*mlnb, "new", str(project)], check=True, capture_output=True)
            run = [*mlnb, "run", "--profile", "smoke", "--tracker", "local", "--no-report"]
            subprocess.run(run, check=True, capture_output=True, cwd=project)
            executed = sorted(project.glob("runs/*/notebooks/*.ipynb"))
            cells = [cell for notebook in executed for cell in read_cells(notebook) if cell["cell_type"] == "code"]
        outputs = {joined(cell["source"]): cell["outputs"] for cell in cells if cell["outputs"]}
        write_whole(path, json.dumps(outputs).encode())
    return dict(json.loads(path.read_bytes()))
