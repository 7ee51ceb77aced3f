"""`mlnb plan`: what would run, what would be reused, and why; nothing is run."""

import argparse
import json

from mlnb.cli.arguments import add_options, plan_lines, planners
from mlnb.engine.project import Project


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb plan`: those of `mlnb run` that say which run is meant."""
    add_options(p)
    p.add_argument("--all-values", action="store_true", help="every parameter's value and where it comes from")
    p.add_argument("--json", action="store_true", help="the plan as JSON")


def main(args: argparse.Namespace) -> int:
    """Print the plan of every combination."""
    project = Project.find()
    for planner, grid in planners(project, args):
        steps = planner.plan()
        if args.json:
            values = {
                stage: {name: {"value": v.value, "from": v.origin} for name, v in items.items()}
                for stage, items in planner.values.items()
            }
            stages = [{"stage": step.name, "action": step.action, "why": step.why, "key": step.key} for step in steps]
            print(json.dumps({"grid": dict(grid), "stages": stages, "values": values}, ensure_ascii=False))
            continue
        if grid:
            print(" ".join(f"{name}={text}" for name, text in grid))
        print("\n".join(plan_lines(planner, steps)))
        if args.all_values:
            print("\nvalues:")
            for stage, items in planner.values.items():
                for name, value in items.items():
                    print(f"  {stage}.{name} = {value.value!r}   ({value.origin})")
    return 0
