"""A queue of runs: a few at a time on one executor; each is reported, registered and forgotten when it has ended."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from mlnb.api.run_execution import closing_listeners, record_run
from mlnb.api.run_executors import open_executor
from mlnb.api.run_request import GridPlan, RunRequest, run_options
from mlnb.engine.events import EventDispatcher, Listener
from mlnb.engine.interrupts import on_next_interrupt
from mlnb.engine.pipeline import Pipeline
from mlnb.engine.project import Project
from mlnb.engine.project_lock import use_project
from mlnb.engine.runs import Run
from mlnb.engine.stage_orders import AnyExecutor

Conclude = Callable[[Run, Path | None], None]


@dataclass(frozen=True, kw_only=True)
class QueueOptions:
    """How a queue of runs is executed.

    Attributes:
        command: the command line, for the records.
        workers: number of stages, and of runs, at a time.
        report: whether to write the HTML report of each run.
        group: what the runs share; empty: named by the first of them.
    """

    command: Sequence[str]
    workers: int
    report: bool = True
    group: str = ""


class RunQueue:
    """Executes the plans of many runs; the number of runs in memory is that of the workers."""

    def __init__(
        self, project: Project, listeners: Sequence[Listener], conclude: Conclude, options: QueueOptions
    ) -> None:
        """Create the queue.

        Args:
            project: The project.
            listeners: Receive the events; those with a method `close` are closed at the end.
            conclude: Called with each run that has ended and its report, in the thread of `execute`.
            options: How the runs are executed.
        """
        self.project = project
        self.conclude = conclude
        self.options = options
        self._listeners = listeners
        self._dispatch = EventDispatcher(listeners)
        self._group = options.group
        self._running: dict[Future[Run], Pipeline] = {}
        self._ended: list[Pipeline] = []  # and not concluded
        self._interrupted = False

    def execute(self, plans: Iterator[tuple[RunRequest, GridPlan]]) -> bool:
        """Execute the plans in their order; return whether all have ended, False after Ctrl-C.

        Args:
            plans: Requests with their plans; each is computed when a run has ended before it.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(closing_listeners(self._listeners, lambda: self._interrupted))
            stack.enter_context(use_project(self.project))
            executor = stack.enter_context(contextlib.closing(open_executor(self.project, self.options.workers)))
            pool = stack.enter_context(ThreadPoolExecutor(self.options.workers, thread_name_prefix="run"))
            try:
                while self._fill(plans, executor, pool):
                    ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
                    self._ended += [self._running.pop(future) for future in ended]
                    self._fill(plans, executor, pool)
                    self._conclude(self.options.report)
            except KeyboardInterrupt:
                self._interrupted = True
                with on_next_interrupt(executor.interrupt):
                    for pipeline in self._running.values():
                        pipeline.cancelled.set()
                    executor.interrupt()  # afterwards: a run whose stage ends by it must know why
                    wait(self._running)
                    self._ended += self._running.values()
                    self._conclude(report=False)
                return False
        return True

    def _fill(
        self, plans: Iterator[tuple[RunRequest, GridPlan]], executor: AnyExecutor, pool: ThreadPoolExecutor
    ) -> bool:
        """Start runs until as many as workers run; return whether any does."""
        while len(self._running) < self.options.workers:
            planned = next(plans, None)
            if planned is None:
                break
            options = run_options(self.project, *planned, self.options.command, self._group or None)
            pipeline = Pipeline(planned[1].planner, executor, self._dispatch, options, self.options.workers)
            if not self._group:
                self._group = f"each-{pipeline.run.id}"
                pipeline.run.update(group=self._group)
            self._running[pool.submit(pipeline.execute)] = pipeline
        return bool(self._running)

    def _conclude(self, report: bool) -> None:
        """Record the runs that have ended; an interruption leaves those that it came before in the list."""
        while self._ended:
            path = record_run(self._ended[0], report)
            self.conclude(self._ended.pop(0).run, path)
