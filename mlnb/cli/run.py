"""`mlnb run`: plan, reuse unchanged stages, run the others, and print the result."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mlnb.api.last_run import last_data
from mlnb.api.progress import progress_listener
from mlnb.api.run_execution import push_run, run_plans, start_listeners
from mlnb.api.run_executors import early_executor
from mlnb.api.run_request import GridPlan, RunRequest, match_plan, plan_request
from mlnb.api.segment_requests import names_files
from mlnb.cli import each
from mlnb.cli.arguments import add_options, read_request
from mlnb.cli.kept_result import Recording, start_recording
from mlnb.cli.run_summary import failure_summary, result_summary
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, set_latest
from mlnb.errors import UsageError
from mlnb.tracking.run_results import exit_code


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb run`."""
    add_options(p)
    p.add_argument("--workers", type=int, metavar="N", help="stages that run at once (default: the setting, 2)")
    p.add_argument("--tracker", choices=("wandb", "local"), help="experiment tracker (default: the setting)")
    p.add_argument("--clean", action="store_true", help="reuse nothing: run all selected stages")
    p.add_argument("--no-report", action="store_true", help="write no HTML report")
    p.add_argument("--json", action="store_true", help="print events as JSON lines")
    each.add_options(p)


def output_options(*words: str) -> argparse.Namespace:
    """Return the options of the output for `run_request`: of a command whose request has all others."""
    p = argparse.ArgumentParser()
    parser(p)
    return p.parse_args(words)


def main(args: argparse.Namespace) -> int:
    """Run every combination of the grid; return the highest exit code."""
    each.check_options(args)
    recording = start_recording() if args.each is None else None
    project = Project.find()
    if args.tracker:
        project = project.with_settings(tracker=args.tracker)
    if args.clean:
        args.force = []
    request = read_request(args)
    if args.each is not None and names_files(args.each):
        return run_request(project, request, args)  # the files are the data
    last = last_data(project, request)
    if last.note:
        print(last.note, file=sys.stderr)
    return run_request(project, last.request, args, last.words, recording, last.note)


def run_request(
    project: Project,
    request: RunRequest,
    args: argparse.Namespace,
    words: Sequence[str] = (),
    recording: Recording | None = None,
    note: str = "",
) -> int:
    """Run every combination of a request; return the highest exit code.

    Args:
        project: The project.
        request: What to run.
        args: Options of the output, as `parser` declares them.
        words: Options that the user did not state, for the record and for the command that continues.
        recording: What has been read so far; it keeps the output when there is nothing to do.
        note: What was printed to standard error.

    Raises:
        UsageError: The number of workers is below 1, or the request is wrong.
    """
    workers = project.settings.workers if args.workers is None else args.workers
    if workers < 1:
        raise UsageError(f"--workers is {workers}; expected 1 or more.")
    if args.each is not None:
        return each.run_each(project, request, args, workers, words)
    waiting: list[GridPlan] = []
    codes, printed = [0], list[str]()
    command = ("mlnb", *sys.argv[1:], *words)
    with early_executor(project, workers) as executor:
        for plan in plan_request(project, request):
            finished = match_plan(project, request, plan)
            if finished is None:
                waiting.append(plan)
            else:
                set_latest(finished)
                push_run(plan.planner, finished)
                summary = result_summary(finished, request, _report_path(finished), nothing_to_do=True)
                printed.append(_print_result(args, summary, finished))
        if recording is not None:
            recording.end(None if waiting else str(project.root), "\n".join(printed), note)
        if waiting:
            listeners = start_listeners(project, progress_listener(args.json))
            conclude = partial(_conclude, args, request, shlex.join(command))
            report = not args.no_report
            codes += run_plans(project, request, waiting, listeners, conclude, command, workers, report, executor)
    return max(codes)


def _conclude(args: argparse.Namespace, request: RunRequest, command: str, run: Run, report: Path | None) -> int:
    """Print the result of a run; return its exit code."""
    code = exit_code(run.record)
    if code == 0:
        _print_result(args, result_summary(run, request, report), run)
        return code
    print(failure_summary(run, command, _debug_command(run)), file=sys.stderr)
    if report:
        print(f"  report    {report}", file=sys.stderr)
    return code


def _report_path(run: Run) -> Path | None:
    path = run.folder / "report.html"
    return Path(os.path.relpath(path)) if path.exists() else None


def _print_result(args: argparse.Namespace, text: str, run: Run) -> str:
    if args.json:
        text = json.dumps({"event": "result", "run": run.id, "state": run.record.state})
    print(text)
    return text


def _debug_command(run: Run) -> str:
    """Return the command that opens the state before the failed cell; empty when no snapshot of the run is alive."""
    from mlnb.executors import live_snapshots

    alive = {snapshot.run for snapshot in live_snapshots.find_all(run.project).values()}
    return f"mlnb debug {run.id}" if run.id in alive else ""
