"""Training of one model for each segment, as `mlnb run --each` and `mlnb.run(each=...)` do it."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlnb.api.run_execution import run_plans, start_listeners
from mlnb.api.run_request import GridPlan, RunRequest, match_plan, plan_request
from mlnb.api.segment_comparison import SegmentComparison, check_task, compare_segments, is_comparable
from mlnb.api.segment_requests import COLUMN, SegmentRequest, SharedStages, column_segments, file_segments, names_files
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run, open_run
from mlnb.errors import MlnbError, UsageError
from mlnb.tracking.segment_results import SegmentResult, SegmentState, run_result

if TYPE_CHECKING:
    from mlnb.api.queue_progress import QueueProgress
    from mlnb.engine.events import Listener

MOST = 100  # models that are trained where nothing else is stated


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """How the models of segments are trained.

    Attributes:
        each: the column, or the pattern of files.
        with_global: whether one model of all rows is trained, too.
        least_rows: rows that a model needs; None: the default of `SegmentSize.too_small`.
        most: models that may be trained.
        workers: number of stages, and of segments, at a time.
        report: whether to write the reports.
        command: the command line, for the records.
    """

    each: str
    with_global: bool = False
    least_rows: int | None = None
    most: int = MOST
    workers: int = 1
    report: bool = True
    command: Sequence[str] = ()

    def words(self) -> tuple[str, ...]:
        """Return the options of `mlnb run` that train the same models."""
        words = ["--each", self.each, *(["--with-global"] if self.with_global else [])]
        words += ["--least-rows", str(self.least_rows)] if self.least_rows is not None else []
        return (*words, *(["--most", str(self.most)] if self.most != MOST else []))


def find_segments(
    project: Project, request: RunRequest, options: SegmentOptions, progress: "Listener | None"
) -> tuple[list[SegmentRequest], Run | None]:
    """Return the segments, those without a model included; of a column after a run of the stages that they share.

    Args:
        project: The project.
        request: What each run is to do.
        options: How they are trained.
        progress: Gets the events of that run.

    Returns:
        The segments, and the run of the shared stages: one that has not finished leaves no segments; None for files.

    Raises:
        UsageError: No segment can have a model, there are too many, or the request is wrong.
    """
    each, run = options.each, None
    if request.grid:
        raise UsageError("--each and -g both make several runs; state one of them.")
    if options.with_global and names_files(each):
        raise UsageError("--with-global needs a column that all rows have; expected --each COLUMN.")
    if names_files(each):
        segments = file_segments(project, request, each)
    else:
        shared = SharedStages.of(project, request)
        run = _run_once(project, shared.request(request), options, progress)
        if run.record.state != RunState.FINISHED:
            return [], run
        if options.with_global:
            check_task(run)
        outputs = {name: output for stage in run.stages.values() for name, output in stage.outputs.items()}
        segments = column_segments(shared, request, each, project.store, outputs, options.least_rows)
    trained = [segment for segment in segments if segment.request is not None]
    if len(trained) > options.most:
        raise UsageError(
            f"--each {each} makes {len(trained):,} models, more than --most {options.most:,}. Each is a run with "
            f"record, report and service: state --most {len(trained)} to train all, or a column with fewer values."
        )
    if not trained:
        reasons = "; ".join(f"{one.name or '(no value)'}: {one.skipped}" for one in segments[:5])
        raise UsageError(f"--each {each}: no segment can have a model ({reasons}).")
    return segments, run


class SegmentTraining:
    """Trains the models of segments.

    Attributes:
        interrupted: whether Ctrl-C has ended it.
    """

    def __init__(
        self,
        project: Project,
        segments: Sequence[SegmentRequest],
        options: SegmentOptions,
        progress: "QueueProgress | None",
    ) -> None:
        self.project = project
        self.segments = {segment.name: segment for segment in segments}
        self.interrupted = False
        self._options = options
        self._results: dict[str, SegmentResult] = {}
        self._progress = progress

    def run(self) -> list[SegmentResult]:
        """Return the result of each segment, in their order."""
        from mlnb.api.run_queue import QueueOptions, RunQueue

        plans = self._plans()
        first = next(plans, None)
        if first is not None:
            options = QueueOptions(
                command=self._options.command, workers=self._options.workers, report=self._options.report
            )
            listeners = start_listeners(self.project, self._progress)
            queue = RunQueue(self.project, listeners, lambda run, report: self._end(run), options)
            self.interrupted = not queue.execute(itertools.chain([first], plans))
        elif self._progress is not None:
            self._progress.close()
        waiting = SegmentState.WAITING
        return [
            self._results.get(name) or SegmentResult(segment=name, state=waiting, rows=segment.rows)
            for name, segment in self.segments.items()
        ]

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
        if self._progress is not None:
            self._progress.end(result)


def train_global(project: Project, request: RunRequest, options: SegmentOptions, progress: "Listener | None") -> Run:
    """Return the run of one model of all rows, whose held-out rows are those of all segments.

    Args:
        project: The project.
        request: What the run is to do.
        options: How the models of the segments were trained.
        progress: Gets the events of the run.
    """
    shared = SharedStages.of(project, request)
    values = {**request.values, f"{shared.selecting}.{COLUMN}": options.each}
    whole = replace(request, values=values, force=shared.own_force(request))
    return _run_once(project, whole, options, progress, options.report)


def compare_global(project: Project, whole: Run, results: Sequence[SegmentResult]) -> SegmentComparison | None:
    """Return the comparison of the model of all rows with those of segments; None where they were not evaluated."""
    runs = [open_run(project, result.run) for result in results if result.run]
    runs = [run for run in runs if is_comparable(run)]
    return compare_segments(whole, runs) if runs and is_comparable(whole) else None


def _run_once(
    project: Project, request: RunRequest, options: SegmentOptions, progress: "Listener | None", report: bool = False
) -> Run:
    """Return the run of a request that has ended, an earlier one if it is up to date."""
    (plan,) = plan_request(project, request)
    finished = match_plan(project, request, plan)
    if finished is not None:
        return finished
    listeners = start_listeners(project, progress)
    (ended,) = run_plans(
        project, request, [plan], listeners, lambda run, _: run, options.command, options.workers, report
    )
    return ended
