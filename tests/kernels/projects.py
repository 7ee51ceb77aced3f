"""Runs small notebooks on the warm kernels of a test's project, and queries its warm parents."""

from pathlib import Path

import psutil

from kernels.corpus import compare
from mlnb.kernels.driver import parent_client
from mlnb.kernels.protocol import parent_paths
from mlnb.kernels.protocol.messages import ParentStatus
from mlnb.kernels.protocol.parent_paths import ParentPaths


def run(folder: Path, *cells: object, **options: object) -> tuple[str, str]:
    """Execute a notebook of cells in `folder`; return the text of all outputs, and the error, "" if there is none."""
    document, error, _ = compare.execute("warm", compare.notebook(list(cells)), folder, **options)
    return str([cell.get("outputs") for cell in document.cells]), error


def find_parents(project: Path) -> list[ParentPaths]:
    """Return where the project's warm parents may listen."""
    return parent_paths.find_parents(parent_paths.settings(project).folder)


def status(project: Path) -> ParentStatus | None:
    """Return the status of the project's first warm parent that runs."""
    statuses = (parent_client.get_status(paths) for paths in find_parents(project))
    return next((one for one in statuses if one is not None), None)


def parent_process(project: Path) -> psutil.Process:
    """Return the process of the project's only warm parent."""
    current = status(project)
    assert current is not None, f"no warm parent runs in {project}"
    return psutil.Process(current.pid)
