"""`mlnb run`: plan, reuse unchanged stages, run the others, and print the result."""

import argparse
import contextlib
import json
import os
import shlex
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlnb.cli.arguments import GridPlan, add_options, make_planners, pipeline_name
from mlnb.cli.last_run import use_last_data
from mlnb.cli.run_summary import failure_summary, result_summary
from mlnb.engine.plan import matching_run
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run, set_latest
from mlnb.errors import MlnbError, UsageError
from mlnb.tracking.run_results import exit_code

if TYPE_CHECKING:
    from mlnb.engine.events import Listener
    from mlnb.engine.pipeline import Pipeline


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb run`."""
    add_options(p)
    p.add_argument("--workers", type=int, metavar="N", help="stages that run at once (default: the setting, 2)")
    p.add_argument("--tracker", choices=("wandb", "local"), help="experiment tracker (default: the setting)")
    p.add_argument("--clean", action="store_true", help="reuse nothing: run all selected stages")
    p.add_argument("--no-report", action="store_true", help="write no HTML report")
    p.add_argument("--json", action="store_true", help="print events as JSON lines")


def main(args: argparse.Namespace) -> int:
    """Run every combination of the grid; return the highest exit code."""
    project = Project.find()
    if args.tracker:
        project = project.with_settings(tracker=args.tracker)
    if args.clean:
        args.force = []
    workers = project.settings.workers if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"--workers is {workers}; expected 1 or more.")
    use_last_data(project, args)
    waiting: list[GridPlan] = []
    codes = [0]
    for plan in make_planners(project, args):
        finished = matching_run(project, pipeline_name(project, args), plan.planner.plan())
        if finished is None:
            waiting.append(plan)
        else:
            set_latest(finished)
            _print_result(args, result_summary(finished, args, _report_path(finished), nothing_to_do=True), finished)
    if waiting:
        codes += _run_all(project, args, waiting, workers)
    return max(codes)


def _run_all(project: Project, args: argparse.Namespace, plans: list[GridPlan], workers: int) -> list[int]:
    """Run several plans on one executor; what they have in common is executed once."""
    from mlnb.engine.events import EventDispatcher
    from mlnb.engine.initial_record import RunOptions
    from mlnb.engine.pipeline import Pipeline
    from mlnb.executors.local import LocalExecutor

    executor = LocalExecutor(workers)
    executor.warm(1)
    listeners = _listeners(project, args)
    dispatch = EventDispatcher(listeners)
    group: str | None = None
    pipelines: list[Pipeline] = []
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            stack.callback(getattr(listener, "close", lambda: None))  # after the result, as a tracker takes its time
        with contextlib.closing(executor):
            for planner, grid in plans:
                options = RunOptions(
                    pipeline=pipeline_name(project, args),
                    command=_command(args),
                    profile=args.profile,
                    group=group,
                    grid=dict(grid),
                )
                pipeline = Pipeline(planner, executor, dispatch, options, workers)
                if len(plans) > 1 and group is None:
                    group = f"grid-{pipeline.run.id}"
                    pipeline.run.update(group=group)
                pipelines.append(pipeline)
            _execute(pipelines)
        return [_conclude(args, pipeline.run) for pipeline in pipelines]


def _conclude(args: argparse.Namespace, run: Run) -> int:
    """Register the model of a run, write its report and print its result; return its exit code."""
    code = exit_code(run.record)
    _register(run)
    if code == 0:
        _print_result(args, result_summary(run, args, None if args.no_report else _write_report(run)), run)
        return code
    print(failure_summary(run, shlex.join(_command(args)), _debug_command(run)), file=sys.stderr)
    report = None if args.no_report else _write_report(run)
    if report:
        print(f"  report    {report}", file=sys.stderr)
    return code


def _execute(pipelines: "Sequence[Pipeline]") -> None:
    """Execute one pipeline here, or several in a thread each; Ctrl-C ends all of them."""
    if len(pipelines) == 1:
        pipelines[0].execute()
        return
    from mlnb.engine.interrupts import on_next_interrupt

    threads = [threading.Thread(target=pipeline.execute) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        with on_next_interrupt(pipelines[0].executor.interrupt):
            pipelines[0].interrupt()  # the executor is the same
            for pipeline in pipelines[1:]:
                pipeline.cancelled.set()
            for thread in threads:
                thread.join()


def _listeners(project: Project, args: argparse.Namespace) -> "list[Listener]":
    from mlnb.cli.progress import progress_listener
    from mlnb.tracking.tracker import open_tracker

    listeners: list[Listener] = [progress_listener(args.json)]
    tracker = open_tracker(project)
    return [*listeners, tracker] if tracker is not None else listeners


def _register(run: Run) -> None:
    """Register the verified model of a run; an error is a warning, as every command of the registry tries again."""
    if run.record.state != RunState.FINISHED or not run.has("certificate"):
        return
    from mlnb.registry.registry import Registry

    try:
        Registry(run.project).register(run)
    except MlnbError as error:
        warnings.warn(f"run {run.id} is not registered yet: {error}", RuntimeWarning, stacklevel=2)


def _write_report(run: Run) -> Path | None:
    """Write the report; an error is a warning, as the run itself is finished."""
    from mlnb.reports.run_report import write_report

    try:
        return Path(os.path.relpath(write_report(run)))
    except Exception as error:  # noqa: BLE001 -- no error of a report may change the result of a run
        warnings.warn(
            f"the report could not be written: {error!r}; `mlnb report` tries again", RuntimeWarning, stacklevel=2
        )
        return None


def _report_path(run: Run) -> Path | None:
    path = run.folder / "report.html"
    return Path(os.path.relpath(path)) if path.exists() else None


def _print_result(args: argparse.Namespace, text: str, run: Run) -> None:
    if args.json:
        print(json.dumps({"event": "result", "run": run.id, "state": run.record.state}))
    else:
        print(text)


def _command(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the words of this command, with the data and target that it took from the last run."""
    return ("mlnb", *sys.argv[1:], *args.from_last_run)


def _debug_command(run: Run) -> str:
    """Return the command that opens the state before the failed cell; empty when no snapshot of the run is alive."""
    from mlnb.executors import live_snapshots

    alive = {snapshot.run for snapshot in live_snapshots.find_all(run.project).values()}
    return f"mlnb debug {run.id}" if run.id in alive else ""
