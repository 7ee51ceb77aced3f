"""`mlnb run --each`: one model for each value of a column, or for each file; what they share runs once.

With `--with-global` one model of all rows is trained, too, and compared on the rows that are held out of all of them.
"""

import argparse
import itertools
import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mlnb.api.progress import progress_listener
from mlnb.api.run_execution import run_plans, start_listeners
from mlnb.api.run_request import GridPlan, RunRequest, match_plan, plan_request
from mlnb.api.segment_comparison import check_task, compare_segments, is_comparable
from mlnb.api.segment_requests import COLUMN, SegmentRequest, SharedStages, column_segments, file_segments, names_files
from mlnb.cli.arguments import at_least_one, not_empty
from mlnb.cli.found_program import as_found
from mlnb.cli.run_summary import failure_summary
from mlnb.cli.segment_table import comparison_table, segment_table
from mlnb.codec import to_json
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import MlnbError, UsageError
from mlnb.tracking.run_results import INTERRUPTED, exit_code
from mlnb.tracking.segment_results import SegmentResult, SegmentState, run_result

MOST = 100  # segments that are trained without --most


def add_options(p: argparse.ArgumentParser) -> None:
    """Add the options of one model for each segment."""
    p.add_argument(
        "--each",
        type=not_empty,
        metavar="COLUMN",
        help="train one model for each value of a column, or for each file of a pattern",
    )
    p.add_argument(
        "--with-global", action="store_true", help="with --each COLUMN: also train one model of all rows, and compare"
    )
    p.add_argument(
        "--least-rows", type=at_least_one, metavar="N", help="with --each: rows that a model needs (default: 50)"
    )
    p.add_argument(
        "--most",
        type=at_least_one,
        default=MOST,
        metavar="N",
        help="with --each: most models to train (default: %(default)s)",
    )


def run_each(
    project: Project, request: RunRequest, args: argparse.Namespace, workers: int, words: Sequence[str] = ()
) -> int:
    """Train a model for each segment, print a table of the results, and return the highest exit code.

    Args:
        project: The project.
        request: What each run is to do.
        args: The options of `mlnb run`.
        workers: Number of stages, and of segments, at a time.
        words: Options that the user did not state, for the records.

    Raises:
        UsageError: There are more segments than --most, or the request is wrong.
    """
    if request.grid:
        raise UsageError("--each and -g both make several runs; state one of them.")
    command = ("mlnb", *sys.argv[1:], *words)
    if args.with_global and names_files(args.each):
        raise UsageError("--with-global needs a column that all rows have; expected --each COLUMN.")
    if names_files(args.each):
        segments = file_segments(project, request, args.each)
    else:
        shared = SharedStages.of(project, request)
        run, code = _run_once(project, shared.request(request), args, command, workers)
        if code:
            return code
        if args.with_global:
            check_task(run)
        outputs = {name: output for stage in run.stages.values() for name, output in stage.outputs.items()}
        segments = column_segments(shared, request, args.each, project.store, outputs, args.least_rows)
    trained = [segment for segment in segments if segment.request is not None]
    if len(trained) > args.most:
        raise UsageError(
            f"--each {args.each} makes {len(trained):,} models, more than --most {args.most:,}. Each is a run with "
            f"record, report and service: state --most {len(trained)} to train all, or a column with fewer values."
        )
    if not trained:
        reasons = "; ".join(f"{one.name or '(no value)'}: {one.skipped}" for one in segments[:5])
        raise UsageError(f"--each {args.each}: no segment can have a model ({reasons}).")
    training = SegmentTraining(project, segments, args, command, workers)
    results = training.run()
    if args.json:
        print(json.dumps({"event": "segments", "states": training.counts()}))
    else:
        print(segment_table(args.each, results))
    codes = [INTERRUPTED if training.interrupted else 0, *(result.code for result in results)]
    if args.with_global and not training.interrupted:
        codes.append(_compare_global(project, request, args, command, workers, results))
    code = max(codes)
    if code:
        print(f"\n  continue  {as_found(shlex.join(command))}", file=sys.stderr)
    return code


class SegmentTraining:
    """Trains the models of segments.

    Attributes:
        interrupted: whether Ctrl-C has ended it.
    """

    def __init__(
        self,
        project: Project,
        segments: Sequence[SegmentRequest],
        args: argparse.Namespace,
        command: Sequence[str],
        workers: int,
    ) -> None:
        from mlnb.api.queue_progress import QueueProgress  # imports for longer than a run with nothing to do may take

        self.project = project
        self.segments = {segment.name: segment for segment in segments}
        self.interrupted = False
        self._args = args
        self._command = command
        self._workers = workers
        self._results: dict[str, SegmentResult] = {}
        self._progress = QueueProgress(len(segments), args.json)

    def run(self) -> list[SegmentResult]:
        """Return the result of each segment, in their order."""
        from mlnb.api.run_queue import QueueOptions, RunQueue

        plans = self._plans()
        first = next(plans, None)
        if first is None:
            self._progress.close()
        else:
            options = QueueOptions(command=self._command, workers=self._workers, report=not self._args.no_report)
            listeners = start_listeners(self.project, self._progress)
            queue = RunQueue(self.project, listeners, lambda run, report: self._end(run), options)
            self.interrupted = not queue.execute(itertools.chain([first], plans))
        waiting = SegmentState.WAITING
        return [
            self._results.get(name) or SegmentResult(segment=name, state=waiting, rows=segment.rows)
            for name, segment in self.segments.items()
        ]

    def counts(self) -> dict[str, int]:
        """Return the number of segments in each state."""
        states = [
            self._results[name].state if name in self._results else SegmentState.WAITING for name in self.segments
        ]
        return {str(state): states.count(state) for state in SegmentState if state in states}

    def _plans(self) -> Iterator[tuple[RunRequest, GridPlan]]:
        """Yield the plans of segments with something to do; the results of the others are known."""
        for name, segment in self.segments.items():
            if segment.request is None:
                skipped = SegmentState.SKIPPED
                self._note(SegmentResult(segment=name, state=skipped, rows=segment.rows, note=segment.skipped))
        sources = CodeSources(self.project)
        for name, segment in self.segments.items():
            if segment.request is None:
                continue
            sources = sources if sources.is_current() else CodeSources(self.project)
            try:
                (plan,) = plan_request(self.project, segment.request, sources)
                finished = match_plan(self.project, segment.request, plan)
            except MlnbError as error:
                failed, code = SegmentState.FAILED, error.exit_code
                self._note(SegmentResult(segment=name, state=failed, rows=segment.rows, note=str(error), code=code))
                continue
            if finished is None:
                yield segment.request, plan
            else:
                self._end(finished, reused=True)

    def _end(self, run: Run, reused: bool = False) -> None:
        self._note(run_result(run, self.segments[run.record.segment].rows, reused))

    def _note(self, result: SegmentResult) -> None:
        self._results[result.segment] = result
        self._progress.end(result)


def _compare_global(
    project: Project,
    request: RunRequest,
    args: argparse.Namespace,
    command: Sequence[str],
    workers: int,
    results: Sequence[SegmentResult],
) -> int:
    """Train one model of all rows, compare it with those of the segments, and return the exit code."""
    shared = SharedStages.of(project, request)
    values = {**request.values, f"{shared.selecting}.{COLUMN}": args.each}
    request = replace(request, values=values, force=shared.own_force(request))
    whole, code = _run_once(project, request, args, command, workers, report=not args.no_report)
    runs = [open_run(project, result.run) for result in results if result.run]
    runs = [run for run in runs if is_comparable(run)]
    if not runs or not is_comparable(whole):
        print("\nNothing to compare: the models were not evaluated.", file=sys.stderr)
        return code
    comparison = compare_segments(whole, runs)
    if args.json:
        print(json.dumps({"event": "comparison", "run": whole.id, **to_json(comparison)}, ensure_ascii=False))
    else:
        print(comparison_table(whole.id, comparison))
    return code


def _run_once(
    project: Project,
    request: RunRequest,
    args: argparse.Namespace,
    command: Sequence[str],
    workers: int,
    report: bool = False,
) -> tuple[Run, int]:
    """Return the run of a request, an earlier one if it is up to date, and its exit code; explain a failure."""
    (plan,) = plan_request(project, request)
    finished = match_plan(project, request, plan)
    if finished is not None:
        return finished, 0

    def conclude(run: Run, report: object) -> tuple[Run, int]:
        code = exit_code(run.record)
        if code:
            print(failure_summary(run, shlex.join(command)), file=sys.stderr)
        return run, code

    listeners = start_listeners(project, progress_listener(args.json))
    (ended,) = run_plans(project, request, [plan], listeners, conclude, command, workers, report)
    return ended
