"""`mlnb stages`: what the project's stages are, and what each takes, reads and writes."""

import argparse
import json
from dataclasses import asdict

from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameters import nearest
from mlnb.engine.project import Project
from mlnb.errors import GraphError


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb stages`."""
    p.add_argument("stage", nargs="?", help="one stage, in full")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.epilog = "examples:\n  mlnb stages             all of them, a line each\n  mlnb stages features    one, in full\n"


def main(args: argparse.Namespace) -> int:
    """Print the stages."""
    project = Project.find()
    stages = read_notebooks(project.notebooks, project.sources)
    if args.stage is not None and args.stage not in stages:
        raise GraphError(f"No stage {args.stage!r}; there are {', '.join(stages)}." + nearest(args.stage, list(stages)))
    chosen = [stages[args.stage]] if args.stage else list(stages.values())
    if args.json:
        print(json.dumps([as_record(stage) for stage in chosen], ensure_ascii=False, indent=1))
    elif args.stage:
        print(in_full(chosen[0]))
    else:
        width = max(len(name) for name in stages)
        for stage in chosen:
            print(f"{stage.number:>3}  {stage.name:<{width}}  {stage.promise}")
        for name, members in project.pipelines.items():
            print(f"\npipeline {name}: {' '.join(members)}")
    return 0


def as_record(stage: StageNotebook) -> dict[str, object]:
    """Return a stage's contract as a JSON value."""
    return {
        "name": stage.name,
        "number": stage.number,
        "title": stage.title,
        "promise": stage.promise,
        "reads": list(stage.reads),
        "writes": stage.writes,
        "parameters": [asdict(parameter) for parameter in stage.parameters],
    }


def in_full(stage: StageNotebook) -> str:
    """Return a stage's contract as text."""
    lines = [f"{stage.name}: {stage.promise}", f"  notebook  {stage.path.name}"]
    lines += [f"  reads     {', '.join(stage.reads) or 'nothing'}"]
    lines += [f"  writes    {name}: {text}" for name, text in stage.writes.items()]
    lines += ["  parameters"]
    for parameter in stage.parameters:
        if parameter.name != "run":
            allowed = f" [{parameter.allowed}]" if parameter.allowed else ""
            lines.append(
                f"    {parameter.name}: {parameter.type} = {parameter.default!r}  # {parameter.meaning}{allowed}"
            )
    return "\n".join(lines)
