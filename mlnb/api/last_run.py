"""Data and target of a folder's last run: used by `mlnb run`, `mlnb plan` and `mlnb.run` when no others are stated.

Only a run that could read both counts, so that a mistyped name is not repeated.
"""

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from mlnb.api.run_request import RunRequest, pipeline_name
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.run_records import ParameterValue, RunState
from mlnb.engine.runs import Run, read_run
from mlnb.errors import SchemaError

NAMES = ("data", "target", "known_column")  # parameters that --data and --target set
OPTION = "-p"  # origin of their values
READ = "contract"  # artifact of the stage that has read the data and found the target


class LastData(NamedTuple):
    """A request, the options that were added to it, and a note about them; empty without any."""

    request: RunRequest
    words: tuple[str, ...] = ()
    note: str = ""


def with_last_data(project: Project, request: RunRequest) -> tuple[RunRequest, tuple[str, ...]]:
    """Return what `last_data` does, with the options alone; print its note to standard error."""
    last = last_data(project, request)
    if last.note:
        print(last.note, file=sys.stderr)
    return last.request, last.words


def last_data(project: Project, request: RunRequest) -> LastData:
    """Return a request with the data and target of the last run, these as options, and a note about them.

    Runs that failed before their data was read and their target was found are passed over, and named. A request that
    states data is returned as it is; so is one for a project whose notebooks, profile or file of parameters name the
    data.

    Args:
        project: The project.
        request: The options of `mlnb run` or `mlnb plan`.
    """
    if request.data is not None or _states_data(project, request):
        return LastData(request)
    run, unread = _last_run(project, pipeline_name(project, request))
    values = _requested(run) if run else {}
    if run is None or "data" not in values or not _names_example(project):
        note = f"The last run, {unread}, has not read its data and target: it supplies neither." if unread else ""
        return LastData(request, note=note)
    last = RunRequest(data=_from_here(project, str(values["data"])), program=())
    target, column = values.get("target"), values.get("known_column")
    if request.target is None and target is not None and not _states(request, "target"):
        if column in (target, None):
            last = replace(last, target=str(target))
        else:
            last = replace(last, pairs=[("problem.target", str(target))])
    words = last.command()
    passed = f" ({unread} has not read its data and target)" if unread else ""
    note = f"As in the last run, {run.id}{passed}: {shlex.join(words)}"
    target = request.target if last.target is None else last.target
    whole = replace(request, data=last.data, target=target, pairs=[*last.pairs, *request.pairs])
    return LastData(whole, words, note)


def new_project_command(project: Project) -> str:
    """Return the command that creates a project with the data and target of the last run, and opens its notebooks."""
    last = last_data(project, RunRequest(program=()))
    created = shlex.join(["mlnb", "new", "my_project", *last.words])
    return f"{created} && cd my_project && mlnb lab"


def _states(request: RunRequest, name: str) -> bool:
    """Return whether a parameter is set in any stage."""
    grid = [text.partition("=")[0].strip() for text in request.grid]
    names = [*(pair[0] for pair in request.pairs), *request.values, *grid]
    return any(one.rpartition(".")[2] == name for one in names)


def _states_data(project: Project, request: RunRequest) -> bool:
    profile = project.profiles.get(request.profile or "", {})
    in_profile = any(name.rpartition(".")[2] == "data" for name in profile)
    return in_profile or bool(request.files) or _states(request, "data")


def _last_run(project: Project, pipeline: str) -> tuple[Run | None, str]:
    """Return the newest run that `mlnb run` started and that read its data, and the id of a newer one that did not.

    A newer run without the option --data has no id here: it would have supplied nothing.

    Args:
        project: The project.
        pipeline: Of the runs.

    Returns:
        None without such a run; an empty id without such a newer one.
    """
    unread = ""
    folders = project.runs.glob("*-*") if project.runs.is_dir() else ()
    for folder in sorted(folders, key=lambda path: path.name, reverse=True):
        try:
            run = read_run(project, folder)
        except (OSError, SchemaError):  # other commands report it
            continue
        if run.record.pipeline == pipeline and run.record.command[:2] == ("mlnb", "run"):
            if _has_read(run):
                return run, unread
            unread = unread or (run.id if "data" in _requested(run) else "")
    return None, unread


def _has_read(run: Run) -> bool:
    """Return whether a run read its data and found its target, or finished without these stages."""
    return run.has(READ) or run.state == RunState.FINISHED


def _requested(run: Run) -> dict[str, Any]:
    """Return the values of NAMES that options of the command set."""
    values: dict[str, ParameterValue] = {}
    for stage in run.stages.values():
        values |= {name: value for name, value in stage.parameters.items() if name in NAMES}
    return {name: value.value for name, value in values.items() if value.origin == OPTION}


def _names_example(project: Project) -> bool:
    """Return whether the parameters cells still name the data of the built-in example."""
    if project.is_builtin:
        return True
    example = read_notebooks(builtin_folder() / "nbs" / "stages")
    notebooks = read_notebooks(project.notebooks, project.source_cache)
    for name, notebook in notebooks.items():
        parameter = notebook.parameter("data")
        built_in = example[name].parameter("data") if name in example else None
        if parameter and (built_in is None or parameter.default != built_in.default):
            return False
    return True


def _from_here(project: Project, data: str) -> str:
    """Return a recorded path, which is relative to the project, relative to the working directory."""
    path = project.root / data
    if "://" in data or Path(data).is_absolute() or not path.exists():
        return data
    return os.path.relpath(path)
