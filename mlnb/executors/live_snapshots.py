"""Snapshots of a project's notebooks that processes on this machine keep in memory."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.engine.snapshot_keys import LiveSnapshot
from mlnb.executors.local import worker_environment
from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.protocol import parent_paths

TIMEOUT = 2.0  # seconds that a warm parent may take to answer; a busy one is skipped


def parent_folder(project: Project) -> Path:
    """Return the folder with the sockets of the project's warm parents."""
    return parent_paths.settings(project.notebooks).folder


def find_usable(project: Project) -> dict[str, LiveSnapshot]:
    """Return the snapshots that a run could continue from now, by snapshot key."""
    parent = parent_paths.parent_key(worker_environment() | project.import_path())  # each environment has its own
    return {key: snapshot for key, snapshot in find_all(project).items() if snapshot.parent == parent}


def find_all(project: Project) -> dict[str, LiveSnapshot]:
    """Return every snapshot of the project's runs, by snapshot key.

    Projects without notebooks share the warm parents of the built-in ones: a snapshot of another project would write
    to that project's store.
    """
    snapshots: dict[str, LiveSnapshot] = {}
    for paths in parent_paths.find_parents(parent_folder(project)):
        status = parent_client.get_status(paths, TIMEOUT)
        for snapshot in status.snapshots if status else ():
            if not Path(snapshot.output_log).is_relative_to(project.runs):
                continue
            snapshots[snapshot.id] = LiveSnapshot(
                key=snapshot.id,
                cell=snapshot.cell,
                stage=snapshot.labels.get("stage", ""),
                run=snapshot.labels.get("run", ""),
                scratch=snapshot.labels.get("scratch", ""),
                log=snapshot.output_log,
                parent=paths.key,
            )
    return snapshots


def restore_environment(
    project: Project, snapshot: LiveSnapshot, notebook: str, cells: Sequence[str]
) -> dict[str, str]:
    """Return the environment variables with which a Jupyter kernel continues from a snapshot.

    Args:
        project: The project.
        snapshot: The snapshot.
        notebook: The notebook of the kernel, relative to the project; empty: any.
        cells: Code that the kernel runs first.
    """
    paths = parent_paths.ParentPaths(parent_folder(project), snapshot.parent)
    return jupyter_kernel.restore_environment(snapshot.key, paths, notebook, cells)


def drop_all(project: Project) -> None:
    """End every snapshot of the project's notebooks."""
    for paths in parent_paths.find_parents(parent_folder(project)):
        parent_client.drop_snapshots(paths, None, TIMEOUT)


def stop_idle_parents(folders: Iterable[Path]) -> None:
    """End the warm parents in folders that run no notebook, with their snapshots; a busy one is skipped."""
    for paths in itertools.chain.from_iterable(map(parent_paths.find_parents, folders)):
        status = parent_client.get_status(paths, TIMEOUT)
        if status is not None and not status.kernels and not status.queued:
            parent_client.stop(paths)
