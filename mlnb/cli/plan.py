"""`mlnb plan`: which stages would run and which would be reused, and why; nothing is run."""

import argparse
import json

from mlnb.api.last_run import with_last_data
from mlnb.api.run_request import RunRequest, plan_request
from mlnb.cli.arguments import add_options, plan_lines, read_request
from mlnb.codec import to_json
from mlnb.engine.plan import Planner
from mlnb.engine.project import Project


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb plan`."""
    add_options(p)
    p.add_argument("--all-values", action="store_true", help="show every parameter with its value and origin")
    p.add_argument("--push", action="store_true", help="push the plan to the remote store, for `mlnb stage`")
    p.add_argument("--json", action="store_true", help="print one JSON object per combination")


def main(args: argparse.Namespace) -> int:
    """Print the plan of every combination of the grid; return 0."""
    project = Project.find()
    request, _ = with_last_data(project, read_request(args))
    for planner, grid in plan_request(project, request):
        steps = planner.plan()
        keys = _push(project, request, planner) if args.push else {}
        if args.json:
            values = {
                stage: {name: to_json(value) for name, value in items.items()}
                for stage, items in planner.values.items()
            }
            stages = [
                {"stage": step.name, "action": step.action, "reason": step.reason, "key": step.key}
                | ({"worker_key": keys[step.name]} if keys else {})
                for step in steps
            ]
            print(json.dumps({"grid": dict(grid), "stages": stages, "values": values}, ensure_ascii=False))
            continue
        if grid:
            print(" ".join(f"{name}={text}" for name, text in grid))
        print("\n".join(plan_lines(planner, steps)))
        if keys:
            print(f"\npushed to {project.settings.remote}; run a stage on another machine, after those before it:")
            print("\n".join(f"  mlnb stage {keys[step.name]} --remote {project.settings.remote}" for step in steps))
        if args.all_values:
            print("\nvalues:")
            for stage, items in planner.values.items():
                for name, value in items.items():
                    print(f"  {stage}.{name} = {value.value!r}   ({value.origin})")
    return 0


def _push(project: Project, request: RunRequest, planner: Planner) -> dict[str, str]:
    """Push a plan; return the key of each stage for `mlnb stage`."""
    from mlnb.api.planned_stages import push_plan  # which a plan of this machine alone does not need

    return push_plan(project, request, planner)
