"""`mlnb check`: whether the project's notebooks, pipelines and profiles keep the contract; nothing is run."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import StageNotebook, read_notebook, read_notebooks
from mlnb.engine.parameter_values import Asked, resolve_values
from mlnb.engine.project import Project
from mlnb.engine.upgrade_journal import unfinished
from mlnb.errors import NotebookError, UsageError


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb check`."""
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "examples:\n  mlnb check\n\nEnds with 0 when all is well, with 2 and one message a problem when not."


def main(args: argparse.Namespace) -> int:
    """Print one line for each problem; return 0 when there is none, else 2."""
    project = Project.find()
    found = problems(project)
    for problem in found:
        print(f"  {problem}")
    if found:
        print(f"{len(found)} problem{'s' * (len(found) > 1)} in {project.notebooks}")
        return UsageError.exit_code
    names = ", ".join(f"{name} ({len(stages)} stages)" for name, stages in project.pipelines.items())
    print(f"{len(list(_paths(project)))} stage notebooks keep the contract; pipelines: {names or 'none'}.")
    return 0


def problems(project: Project) -> list[str]:
    """Return one message for each thing that is wrong: in a notebook, between notebooks, in settings.ini."""
    stages, found = {}, unfinished(project.root, project.store_root)
    for path in _paths(project):
        try:
            stages[path.stem] = read_notebook(path)
        except UsageError as error:
            found.append(str(error))
        else:
            found += [f"{path.name}: {problem}" for problem in remarks(stages[path.stem])]
    if len(stages) < len(list(_paths(project))):
        return found  # what is wrong between notebooks can only be told when each can be read
    try:
        known = read_notebooks(project.notebooks)
    except NotebookError as error:
        return [*found, str(error)]
    for name, chosen in project.pipelines.items():
        try:
            giving = project.pipelines.get(project.givers.get(name, ""), ())
            build_graph(known, chosen, {artifact: {} for giver in giving for artifact in known[giver].writes})
        except UsageError as error:
            found.append(f"[pipeline {name}] {error}")
    for name, values in project.profiles.items():
        try:
            resolve_values(known, list(known), Asked(profile=name, profile_values=values))
        except UsageError as error:
            found.append(f"[profile {name}] {error}")
    return found


def remarks(stage: StageNotebook) -> Iterator[str]:
    """Yield what a stage can run with and should not have: no title, no promise, parameters nobody reads."""
    if not stage.title:
        yield "no `# Title`; expected one in the first cell."
    if not stage.promise:
        yield "no `> promise`; expected one sentence under the title that says what the stage does."
    code = "\n".join(cell.source for cell in stage.cells if cell.has("stage"))
    for parameter in stage.parameters:
        if not parameter.meaning and parameter.name != "run":
            yield f"parameter {parameter.name!r} has no comment; expected `# meaning, unit [allowed]`."
        if parameter.name not in code:
            yield f"parameter {parameter.name!r} is read by no `#| stage` cell; use it or delete it."


def _paths(project: Project) -> Iterator[Path]:
    return (path for path in sorted(project.notebooks.glob("*.ipynb")) if not path.name.startswith("."))
