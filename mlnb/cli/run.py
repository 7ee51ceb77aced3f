"""`mlnb run`: plan, reuse what is unchanged, run the rest, and say what came of it."""

import argparse
import contextlib
import dataclasses
import importlib
import os
import shlex
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlnb.cli.arguments import add_options, planners
from mlnb.cli.run_summary import exit_code, failure, verdict
from mlnb.engine.plan import twin
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, point_latest
from mlnb.errors import MlnbError, UsageError

if TYPE_CHECKING:
    from mlnb.engine.events import Listener


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb run`."""
    add_options(p)
    p.add_argument("--workers", type=int, metavar="N", help="stages side by side (default: the setting, 2)")
    p.add_argument("--tracker", choices=("wandb", "local"), help="where runs are tracked (default: the setting)")
    p.add_argument("--clean", action="store_true", help="take nothing from the store: run all that was asked for")
    p.add_argument("--no-report", action="store_true", help="write no HTML report")
    p.add_argument("--json", action="store_true", help="events as JSON lines, for machines")


def main(args: argparse.Namespace) -> int:
    """Run every combination that was asked for; return the worst exit code."""
    project = Project.find()
    if args.tracker:
        project = dataclasses.replace(project, settings=project.settings | {"tracker": args.tracker})
    if args.clean:
        args.force = []
    workers = int(project.number("workers")) if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"{workers} workers cannot run anything; expected 1 or more.")
    asked = planners(project, args)
    waiting = []
    codes = [0]
    for planner, grid in asked:
        done = twin(project, planner_pipeline(project, args), planner.plan())
        if done is None:
            waiting.append((planner, grid))
        else:
            point_latest(done)
            _say(args, verdict(done, _report_path(done), nothing_to_do=True), done)
    if waiting:
        codes += _run_all(project, args, waiting, workers)
    return max(codes)


def planner_pipeline(project: Project, args: argparse.Namespace) -> str:
    """Return the name of the pipeline that was asked for."""
    return str(args.pipeline or project.settings["pipeline"])


def _run_all(project: Project, args: argparse.Namespace, waiting: list[Any], workers: int) -> list[int]:
    """Run several plans as siblings on one executor; what they have in common is made once."""
    from mlnb.engine.events import Announcer
    from mlnb.engine.pipeline import Pipeline
    from mlnb.executors.local import LocalExecutor

    executor = LocalExecutor(workers)
    executor.warm(1)
    listeners = _listeners(project, args)
    announce = Announcer(listeners)
    group = None
    pipelines: list[Pipeline] = []
    with contextlib.ExitStack() as end:
        for listener in listeners:
            end.callback(getattr(listener, "close", lambda: None))  # after the verdict: a tracker may take its time
        with contextlib.closing(executor):
            for planner, grid in waiting:
                facts = {
                    "pipeline": planner_pipeline(project, args),
                    "command": ["mlnb", *sys.argv[1:]],
                    "profile": args.profile,
                    "group": group,
                    "grid": dict(grid),
                }
                pipeline = Pipeline(planner, executor, announce, facts, workers)
                if len(waiting) > 1 and group is None:
                    group = pipeline.run.record["group"] = f"grid-{pipeline.run.id}"
                pipelines.append(pipeline)
            _execute(pipelines)
        return [_conclude(args, pipeline.run) for pipeline in pipelines]


def _conclude(args: argparse.Namespace, run: Run) -> int:
    """Register a run, write its report and say how it ended; return its exit code."""
    code = exit_code(run)
    _register(run)
    report = None if args.no_report else _write_report(run)
    if code == 0:
        _say(args, verdict(run, report), run)
    else:
        print(failure(run, _again(), _look(run)), file=sys.stderr)
        if report:
            print(f"  report    {report}", file=sys.stderr)
    return code


def _execute(pipelines: list[Any]) -> None:
    """Execute one pipeline here, or several in a thread each; Ctrl-C ends all of them cleanly."""
    if len(pipelines) == 1:
        pipelines[0].execute()
        return
    threads = [threading.Thread(target=pipeline.execute) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        for pipeline in pipelines:
            pipeline.interrupt()
        for thread in threads:
            thread.join()


def _listeners(project: Project, args: argparse.Namespace) -> "list[Listener]":
    from mlnb.cli.progress import listener
    from mlnb.tracking.tracker import open_tracker

    found: list[Listener] = [listener(args.json)]
    tracker = open_tracker(project)
    return [*found, tracker] if tracker is not None else found


def _register(run: Run) -> None:
    """Register what the run has proven; a registry that fails is a warning, as every verb of it tries again."""
    if run.record["state"] != "finished" or not run.has("certificate"):
        return
    from mlnb.registry.registry import Registry

    try:
        Registry(run.project).register(run)
    except MlnbError as error:
        warnings.warn(f"run {run.id} is not registered yet: {error}", RuntimeWarning, stacklevel=2)


def _write_report(run: Run) -> Path | None:
    """Write the report; a report that fails is a warning, as the run itself is done."""
    try:
        write = importlib.import_module("mlnb.reports").write_report
        return Path(os.path.relpath(write(run)))
    except Exception as error:  # noqa: BLE001 -- the run is done whatever its report meets
        warnings.warn(
            f"the report could not be written: {error!r}; `mlnb report` tries again", RuntimeWarning, stacklevel=2
        )
        return None


def _report_path(run: Run) -> Path | None:
    path = run.folder / "report.html"
    return Path(os.path.relpath(path)) if path.exists() else None


def _say(args: argparse.Namespace, text: str, run: Run) -> None:
    if args.json:
        import json

        print(json.dumps({"event": "verdict", "run": run.id, "state": run.record["state"]}))
    else:
        print(text)


def _look(run: Run) -> str:
    """Return the command that opens the state before the cell that failed; "" when it was not kept."""
    from mlnb.executors import kept_snapshots

    alive = {told["run"] for told in kept_snapshots.everywhere(run.project).values()}
    return f"mlnb debug {run.id}" if run.id in alive else ""


def _again() -> str:
    """Return the command that goes on from what was kept: the same one."""
    return shlex.join(["mlnb", *sys.argv[1:]])
