"""`mlnb plan`: which stages would run and which would be reused, and why; nothing is run."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlnb.api.last_run import with_last_data
from mlnb.api.run_request import RunRequest, pipeline_name, plan_request
from mlnb.cli.arguments import Once, add_options, at_least_one, not_empty, plan_lines, read_request
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.confined_names import is_plain_name
from mlnb.engine.files import write_whole
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.orchestration.task_graphs import task_actions
from mlnb.reports.formatting import count
from mlnb.suggestions import did_you_mean

if TYPE_CHECKING:
    from mlnb.api.segment_plans import SegmentPlan


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb plan`."""
    add_options(p)
    p.add_argument("--all-values", action="store_true", help="show every parameter with its value and origin")
    p.add_argument(
        "--each",
        action=Once,
        type=not_empty,
        metavar="COLUMN",
        help="plan a model for each value of a column, or file of a pattern",
    )
    p.add_argument(
        "--least-rows", type=at_least_one, metavar="N", help="with --each: rows that a model needs (default: 50)"
    )
    p.add_argument("--push", action="store_true", help="push the plan to the remote store, for `mlnb stage`")
    p.add_argument("--json", action="store_true", help="print one JSON object per combination")
    p.add_argument(
        "--group",
        action="append",
        default=[],
        metavar="NAME=STAGE,STAGE",
        help="for orchestrators: print whether a group of stages would `run`, or be a `reuse` as a whole",
    )
    p.add_argument("--actions", type=Path, metavar="FOLDER", help="write these words into a file per group")


def main(args: argparse.Namespace) -> int:
    """Print the plan of every combination of the grid; return 0."""
    groups = _read_groups(args.group)
    project = Project.find()
    if args.each is not None:
        return _plan_each(project, args)
    if args.least_rows is not None:
        raise UsageError("--least-rows is for `mlnb plan --each COLUMN`.")
    request, _ = with_last_data(project, read_request(args))
    for planner, grid in plan_request(project, request):
        steps = planner.plan()
        actions = _actions(groups, steps)
        if args.actions is not None:
            for name, action in actions.items():
                write_whole(args.actions / name, action.encode())
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
            tasks = {"tasks": actions} if actions else {}
            print(json.dumps({"grid": dict(grid), "stages": stages, "values": values, **tasks}, ensure_ascii=False))
            continue
        if grid:
            print(" ".join(f"{name}={text}" for name, text in grid))
        print("\n".join(plan_lines(planner, steps)))
        if actions:
            print("\ngroups:", *(f"{name} {action}" for name, action in actions.items()), sep="\n  ")
        if keys:
            print(f"\npushed to {project.settings.remote}; run a stage on another machine, after those before it:")
            print("\n".join(f"  mlnb stage {keys[step.name]} --remote {project.settings.remote}" for step in steps))
        if args.all_values:
            print("\nvalues:")
            for stage, items in planner.values.items():
                for name, value in items.items():
                    print(f"  {stage}.{name} = {value.value!r}   ({value.origin})")
    return 0


def _plan_each(project: Project, args: argparse.Namespace) -> int:
    """Print what `mlnb run --each` would do for each segment; return 0."""
    from mlnb.api.segment_plans import plan_segments
    from mlnb.api.segment_requests import names_files

    request = read_request(args)
    if request.grid or args.push or args.group or args.all_values:
        raise UsageError(
            "--each plans a run for each segment; expected no -g, --push, --group or --all-values with it."
        )
    if not names_files(args.each):
        request, _ = with_last_data(project, request)
    plans = plan_segments(project, request, args.each, args.least_rows)
    if args.json:
        print(json.dumps(to_json(plans), ensure_ascii=False))
        return 0
    if plans.shared:
        print(f"shared stages that run first: {', '.join(plans.shared)}")
        print(f"The segments of {args.each} are known when they have run.")
        return 0
    rows = [
        [one.segment or "(no value)", "" if one.rows is None else f"{one.rows:,}", _describe(one)]
        for one in plans.segments
    ]
    print(table(["segment", "rows", "plan"], rows, right=("rows",)))
    waiting = sum(bool(one.run) for one in plans.segments)
    print(f"\n{waiting} of {count(len(plans.segments), 'segment')} would run.")
    return 0


def _describe(plan: "SegmentPlan") -> str:
    """Return the plan of a segment in a few words."""
    if plan.skipped:
        return f"skipped: {plan.skipped}"
    if plan.finished:
        return f"nothing to do: run {plan.finished}"
    return f"{plan.reused} reused, run: {', '.join(plan.run)}" if plan.run else "all stages are reused in a new run"


def _read_groups(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the stages of each group. Raises `UsageError` for another form."""
    groups: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, stages = text.partition("=")
        if not equals or not is_plain_name(name) or not all(stages.split(",")):
            raise UsageError(f"--group {text!r}: expected NAME=STAGE,STAGE, as in --group prepare=ingest,validate.")
        groups[name] = tuple(stages.split(","))
    return groups


def _actions(groups: dict[str, tuple[str, ...]], steps: Sequence[Step]) -> dict[str, str]:
    names = [step.name for step in steps]
    for name, stages in groups.items():
        for stage in stages:
            if stage not in names:
                raise UsageError(f"--group {name}: no stage {stage!r} in this pipeline.{did_you_mean(stage, names)}")
    return task_actions(groups, [step.name for step in steps if step.action == StepAction.REUSE])


def _push(project: Project, request: RunRequest, planner: Planner) -> dict[str, str]:
    """Push a plan; return the key of each stage for `mlnb stage`."""
    from mlnb.api.planned_stages import push_plan  # which a plan of this machine alone does not need

    return push_plan(project, pipeline_name(project, request), planner)
