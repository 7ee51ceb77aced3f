"""The states of a project's notebooks that are kept alive on this machine."""

from pathlib import Path
from typing import Any

from mlnb.engine.project import Project
from mlnb.executors.local import worker_environment
from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.protocol import parent_paths

PATIENCE = 2.0  # seconds that a warm parent may take to tell; one that is busy keeps nothing that is worth waiting for


def folder(project: Project) -> Path:
    """Return where warm parents of the project's notebooks listen."""
    return parent_paths.settings(project.notebooks).folder


def living(project: Project) -> dict[str, dict[str, Any]]:
    """Return what is told of each state that the project's notebooks could go on from, by the state's name."""
    key = parent_paths.parent_key(
        worker_environment() | project.import_path()
    )  # in another environment a run has another parent
    return {state: told for state, told in everywhere(project).items() if told["parent"] == key}


def everywhere(project: Project) -> dict[str, dict[str, Any]]:
    """Return what is told of each state that any parent of the project's notebooks keeps, with its `parent`."""
    found: dict[str, dict[str, Any]] = {}
    for paths in parent_paths.find_parents(folder(project)):
        status = parent_client.get_status(paths, PATIENCE)
        for one in status.snapshots if status else ():
            own = {"state": one.id, "cell": one.cell, "family": one.group, "log": one.output_log, "parent": paths.key}
            found[one.id] = {**one.labels, **own, "pid": one.pid, "until": one.expires}
    return found


def waking(project: Project, told: dict[str, Any], notebook: str) -> dict[str, str]:
    """Return the environment in which Jupyter's kernel goes on from a state, for a notebook ("" for any)."""
    paths = parent_paths.ParentPaths(folder(project), told["parent"])
    return jupyter_kernel.restore_environment(told["state"], paths, notebook)


def drop(project: Project) -> None:
    """End every state that is kept."""
    for paths in parent_paths.find_parents(folder(project)):
        parent_client.drop_snapshots(paths, None, PATIENCE)
