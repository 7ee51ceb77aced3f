"""`mlnb stages`: the stages of the project with their parameters, reads and writes."""

import argparse
import json
from typing import Any

from mlnb.codec import to_json
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.project import Project
from mlnb.errors import GraphError
from mlnb.suggestions import did_you_mean
from mlnb.url_passwords import mask_passwords


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb stages`."""
    p.add_argument("stage", nargs="?", help="a stage, shown in full")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = "examples:\n  mlnb stages             list all stages\n  mlnb stages features    show one in full\n"


def main(args: argparse.Namespace) -> int:
    """Print the stages; return 0."""
    project = Project.find()
    stages = read_notebooks(project.notebooks, project.source_cache)
    if args.stage is not None and args.stage not in stages:
        raise GraphError(f"No stage {args.stage!r}; there are {', '.join(stages)}." + did_you_mean(args.stage, stages))
    selected = [stages[args.stage]] if args.stage else list(stages.values())
    if args.json:
        print(json.dumps([as_json(stage) for stage in selected], ensure_ascii=False, indent=1))
    elif args.stage:
        print(in_full(selected[0]))
    else:
        width = max(len(name) for name in stages)
        for stage in selected:
            print(f"{stage.number:>3}  {stage.name:<{width}}  {stage.description}")
        for name, members in project.pipelines.items():
            print(f"\npipeline {name}: {' '.join(members)}")
        for name, values in project.profiles.items():
            print(f"\nprofile {name}: {', '.join(f'{key} = {text}' for key, text in values.items())}")
    return 0


def as_json(stage: StageNotebook) -> dict[str, Any]:
    """Return a stage's declaration as a JSON object."""
    return {
        "name": stage.name,
        "number": stage.number,
        "title": stage.title,
        "description": stage.description,
        "reads": list(stage.reads),
        "writes": stage.writes,
        "parameters": [to_json(parameter) for parameter in stage.parameters],
    }


def in_full(stage: StageNotebook) -> str:
    """Return a stage's declaration as text."""
    lines = [f"{stage.name}: {stage.description}", f"  notebook  {stage.path.name}"]
    lines += [f"  reads     {', '.join(stage.reads) or 'nothing'}"]
    lines += [f"  writes    {name}: {text}" for name, text in stage.writes.items()]
    lines += ["  parameters"]
    for parameter in stage.parameters:
        if parameter.name != "run":
            allowed = f" [{parameter.allowed}]" if parameter.allowed else ""
            default = mask_passwords(repr(parameter.default))
            lines.append(f"    {parameter.name}: {parameter.type} = {default}  # {parameter.description}{allowed}")
    return "\n".join(lines)
