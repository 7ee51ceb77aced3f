"""The data and target of a folder's last run, which `mlnb run` and `mlnb plan` use where no others are stated."""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from mlnb.cli.arguments import pipeline_name
from mlnb.engine.notebook import read_notebooks
from mlnb.engine.project import Project, builtin_folder
from mlnb.engine.run_records import ParameterValue
from mlnb.engine.runs import Run, read_run
from mlnb.errors import SchemaError

NAMES = ("data", "target", "known_column")  # parameters that --data and --target set
OPTION = "-p"  # origin of their values


def use_last_data(project: Project, args: argparse.Namespace) -> None:
    """Set `--data` and `--target` to those of the last run and print that, unless any are stated.

    A project whose notebooks, profile or file of parameters name the data has stated them.

    Args:
        project: The project.
        args: The arguments of `mlnb run` or `mlnb plan`; they are changed, and get the words `from_last_run`.
    """
    args.from_last_run = ()
    if args.data is not None or _states_data(project, args):
        return
    run = _last_run(project, pipeline_name(project, args))
    values = _requested(run) if run else {}
    if run is None or "data" not in values or not _names_example(project):
        return
    args.data = _from_here(project, str(values["data"]))
    words = ["--data", args.data]
    target, column = values.get("target"), values.get("known_column")
    if args.target is None and target is not None and not _states(args, "target"):
        if column in (target, None):
            args.target = str(target)
            words += ["--target", args.target]
        else:
            args.parameter = [["problem.target", str(target)], *args.parameter]
            words += ["-p", "problem.target", str(target)]
    args.from_last_run = tuple(words)
    print(f"As in the last run, {run.id}: {shlex.join(words)}", file=sys.stderr)


def _states(args: argparse.Namespace, name: str) -> bool:
    """Return whether -p or -g sets a parameter in any stage."""
    grid = [text.partition("=")[0].strip() for text in args.grid]
    return any(one.rpartition(".")[2] == name for one in [*(pair[0] for pair in args.parameter), *grid])


def _states_data(project: Project, args: argparse.Namespace) -> bool:
    profile = project.profiles.get(args.profile or "", {})
    in_profile = any(name.rpartition(".")[2] == "data" for name in profile)
    return in_profile or bool(args.file) or _states(args, "data")


def _last_run(project: Project, pipeline: str) -> Run | None:
    """Return the newest run of a pipeline that `mlnb run` started; None without one."""
    folders = project.runs.glob("*-*") if project.runs.is_dir() else ()
    for folder in sorted(folders, key=lambda path: path.name, reverse=True):
        try:
            run = read_run(project, folder)
        except (OSError, SchemaError):  # other commands report it
            continue
        if run.record.pipeline == pipeline and run.record.command[:2] == ("mlnb", "run"):
            return run
    return None


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
