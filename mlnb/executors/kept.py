"""The states of a project's notebooks that are kept alive on this machine."""

from pathlib import Path
from typing import Any

from mlnb.engine.project import Project
from mlnb.executors.local import worker_environment
from mlnb.kernels import call, jupyter, places

PATIENCE = 2.0  # seconds that a warm parent may take to tell; one that is busy keeps nothing that is worth waiting for


def folder(project: Project) -> Path:
    """Return where warm parents of the project's notebooks listen."""
    return places.settings(project.notebooks).folder


def living(project: Project) -> dict[str, dict[str, Any]]:
    """Return what is told of each state that the project's notebooks could go on from, by the state's name."""
    answer = call.ask(_place(project), {"verb": "status"}, PATIENCE) or {}
    return {told["state"]: told for told in answer.get("kept", [])}


def _place(project: Project) -> places.Place:
    """Return where the parent listens that a run would use now: another environment has another one."""
    return places.Place(folder(project), places.key(worker_environment() | project.import_path()))


def waking(project: Project, state: str, notebook: str) -> dict[str, str]:
    """Return the environment in which Jupyter's kernel goes on from a state, for a notebook ("" for any)."""
    return jupyter.waking(state, _place(project), notebook)


def drop(project: Project) -> None:
    """End every state that is kept."""
    for place in places.here(folder(project)):
        call.ask(place, {"verb": "drop", "family": None}, PATIENCE)
