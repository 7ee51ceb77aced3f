"""`mlnb check`: check notebooks, pipelines and profiles of the project; nothing is run."""

import argparse
import importlib
import os
from collections.abc import Iterator
from pathlib import Path

from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import StageNotebook, read_notebook, read_notebooks
from mlnb.engine.parameter_values import RequestedValues, resolve_values
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord
from mlnb.engine.upgrade_journal import unfinished
from mlnb.errors import NotebookError, UsageError
from mlnb.methods.extensions.extension_classes import ExtensionKind
from mlnb.reports.formatting import count

# Folder of notebooks -> module and name of their kind, and the function that reads them, with the stages that call it.
EXTENSIONS = {
    "models": ("mlnb.methods.models.custom_families", "FAMILY", "register_families", "the stages tune and train"),
    "encoders": ("mlnb.methods.encoding.custom_encoders", "ENCODER", "read_encoders", "the stage features"),
    "metrics": ("mlnb.methods.metrics.custom_metrics", "METRIC", "read_metrics", "the stage problem"),
    "sources": ("mlnb.methods.tables.project_sources", "SOURCE", "read_source", "the stage ingest"),
}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb check`."""
    p.epilog = "examples:\n  mlnb check\n\nexit codes: 0 no problem, 2 problems, one line each"


def main(args: argparse.Namespace) -> int:
    """Print one line per problem; return 0 when there is none, else 2."""
    project = Project.find()
    problems = find_problems(project)
    for problem in problems:
        print(f"  {problem}")
    if problems:
        print(f"{count(len(problems), 'problem')} in {project.notebooks}")
        return UsageError.exit_code
    names = ", ".join(f"{name} ({count(len(stages), 'stage')})" for name, stages in project.pipelines.items())
    print(f"{len(list(_paths(project)))} stage notebooks, no problems; pipelines: {names or 'none'}.")
    return 0


def find_problems(project: Project) -> list[str]:
    """Return one message per problem: in a notebook, between notebooks, or in settings.ini."""
    stages: dict[str, StageNotebook] = {}
    problems = [*unfinished(project.root, project.store_root), *extension_problems(project)]
    for path in _paths(project):
        try:
            stages[path.stem] = read_notebook(path)
        except UsageError as error:
            problems.append(str(error))
        else:
            problems += [f"{path.name}: {problem}" for problem in notebook_problems(stages[path.stem])]
    if len(stages) < len(list(_paths(project))):
        return problems  # problems between notebooks can be found when all can be read
    try:
        notebooks = read_notebooks(project.notebooks)
    except NotebookError as error:
        return [*problems, str(error)]
    try:
        project.check_stage_sections(notebooks)
    except UsageError as error:
        problems.append(str(error))
    for name, members in project.pipelines.items():
        source = project.pipelines.get(project.input_pipelines.get(name, ""), ())
        inputs = {
            artifact: OutputRecord(digest="", format="", bytes=0, description=description)
            for stage in source
            if stage in notebooks
            for artifact, description in notebooks[stage].writes.items()
        }
        try:
            build_graph(notebooks, members, inputs)
        except UsageError as error:
            problems.append(f"[pipeline {name}] {error}")
    for name, values in project.profiles.items():
        try:
            resolve_values(notebooks, list(notebooks), RequestedValues(profile=name, profile_values=values))
        except UsageError as error:
            problems.append(f"[profile {name}] {error}")
    return problems


def extension_problems(project: Project) -> Iterator[str]:
    """Yield problems of the notebooks with the project's models, metrics and other classes; their code is not run."""
    stages = None
    for folder, (module, kind, reader, readers) in EXTENSIONS.items():
        path = project.notebooks.parent / folder
        if not path.is_dir():
            continue
        from mlnb.methods.extensions.extension_notebooks import extension_notebooks, read_code  # few projects have any

        notebooks = extension_notebooks(path)
        described: ExtensionKind = getattr(importlib.import_module(module), kind)
        for notebook in notebooks:
            try:
                read_code(described, notebook, project.root)
            except UsageError as error:
                yield str(error)
        if stages is None:
            stages = [one.read_text("utf-8", errors="replace") for one in _paths(project)]
        if notebooks and stages and not any(f"{reader}(" in text for text in stages):
            yield (
                f"{os.path.relpath(path, project.root)} has {described.plural}, which no stage reads; expected "
                f"`{reader}` in {readers}: mlnb upgrade"
            )


def notebook_problems(stage: StageNotebook) -> Iterator[str]:
    """Yield problems that do not prevent a run: no title, no description, or a parameter that is not used."""
    if not stage.title:
        yield "no `# Title`; expected one in the first cell."
    if not stage.description:
        yield "no `> description`; expected one sentence under the title about what the stage does."
    code = "\n".join(cell.source for cell in stage.cells if cell.has("stage"))
    for parameter in stage.parameters:
        if not parameter.description and parameter.name != "run":
            yield f"parameter {parameter.name!r} has no comment; expected `# description, unit [allowed]`."
        if parameter.name not in code:
            yield f"parameter {parameter.name!r} is used in no `#| stage` cell; use it or delete it."


def _paths(project: Project) -> Iterator[Path]:
    return (path for path in sorted(project.notebooks.glob("*.ipynb")) if not path.name.startswith("."))
