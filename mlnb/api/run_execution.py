"""Running plans: one executor for all of them, then report, manifest and registration of each run."""

import contextlib
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlnb.api.run_request import GridPlan, RunRequest, run_options
from mlnb.engine.project import Project
from mlnb.engine.run_records import RunState
from mlnb.engine.runs import Run, read_run
from mlnb.errors import MlnbError, RemoteWarning

if TYPE_CHECKING:
    from mlnb.engine.events import Listener
    from mlnb.engine.pipeline import Pipeline
    from mlnb.engine.plan import Planner
    from mlnb.engine.stage_orders import AnyExecutor

T = TypeVar("T")


def run_plans(
    project: Project,
    request: RunRequest,
    plans: Sequence[GridPlan],
    listeners: "Sequence[Listener]",
    conclude: Callable[[Run, Path | None], T],
    command: Sequence[str],
    workers: int,
    report: bool = True,
    executor: "AnyExecutor | None" = None,
) -> list[T]:
    """Run several plans on one executor; what they have in common is executed once.

    Args:
        project: The project.
        request: What they were made from.
        plans: From `plan_request`.
        listeners: Receive the events; those with a method `close` are closed at the end.
        conclude: Called with each run and its report when all have ended, before the listeners are closed: a tracker
            takes its time.
        command: The command line, for the records.
        workers: Number of stages that run at once.
        report: Whether to write the HTML report of each run.
        executor: From `early_executor`; None: it is opened. It is closed when all runs have ended.
    """
    from mlnb.api.record_preparation import RecordPreparation
    from mlnb.api.run_executors import open_executor
    from mlnb.engine.events import EventDispatcher
    from mlnb.engine.interrupts import on_next_interrupt
    from mlnb.engine.pipeline import Pipeline
    from mlnb.engine.project_lock import use_project

    preparation = RecordPreparation()
    dispatch = EventDispatcher([*listeners, preparation] if report else listeners)
    group: str | None = None
    pipelines: list[Pipeline] = []
    writing = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.enter_context(closing_listeners(listeners, lambda: any(one.cancelled.is_set() for one in pipelines)))
        stack.enter_context(use_project(project))
        executor = executor or open_executor(project, workers)
        with contextlib.closing(executor), contextlib.closing(preparation):
            for plan in plans:
                options = run_options(project, request, plan, command, group)
                pipeline = Pipeline(plan.planner, executor, dispatch, options, workers)
                if len(plans) > 1 and group is None:
                    group = f"grid-{pipeline.run.id}"
                    pipeline.run.update(group=group)
                pipelines.append(pipeline)
            _execute(pipelines)
            if any(pipeline.cancelled.is_set() for pipeline in pipelines):
                stack.enter_context(on_next_interrupt(partial(_skip_report, writing)))
        return [conclude(pipeline.run, record_run(pipeline, report, writing)) for pipeline in pipelines]


@contextlib.contextmanager
def closing_listeners(listeners: "Sequence[Listener]", interrupted: Callable[[], bool]) -> Iterator[None]:
    """Close listeners at the end of the block; Ctrl-C while a tracker works leaves out the rest of it.

    Args:
        listeners: Those with a method `close` are closed; `abandon` lets it return early.
        interrupted: Returns whether the runs were interrupted before.

    Raises:
        KeyboardInterrupt: Ctrl-C while they were closed, after runs that were not interrupted.
    """
    from mlnb.engine.interrupts import on_next_interrupt

    pressed = threading.Event()

    def abandon() -> None:
        pressed.set()
        for listener in listeners:
            getattr(listener, "abandon", lambda: None)()

    try:
        yield
    finally:
        with on_next_interrupt(abandon), contextlib.ExitStack() as stack:
            for listener in listeners:
                stack.callback(getattr(listener, "close", lambda: None))
    if pressed.is_set() and not interrupted():
        raise KeyboardInterrupt


def start_listeners(project: Project, progress: "Listener | None") -> "list[Listener]":
    """Return what receives the events of a run: what shows the progress, and what the settings name."""
    from mlnb.tracking.tracker import open_tracker

    listeners: list[Listener | None] = [progress, open_tracker(project)]
    if project.settings.openlineage:
        from mlnb.tracking.openlineage_file import OpenLineageFile

        listeners.append(OpenLineageFile(project.path_of(project.settings.openlineage)))
    if project.database is not None:
        from mlnb.engine.active_runs import ActiveRuns

        listeners.append(ActiveRuns(project.database))
    return [listener for listener in listeners if listener is not None]


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
            for pipeline in pipelines[1:]:
                pipeline.cancelled.set()
            pipelines[0].interrupt()  # the executor is the same
            for thread in threads:
                thread.join()


def record_run(pipeline: "Pipeline", report: bool, writing: threading.Event | None = None) -> Path | None:
    """Write the report and the manifest of a run, register its model, and share it; return the path of the report.

    The report of an interrupted run is left out at the next Ctrl-C.

    Args:
        pipeline: A pipeline that has ended.
        report: Whether to write its report.
        writing: Set while files are written that the next Ctrl-C may leave out.
    """
    run, path, writing = pipeline.run, None, writing or threading.Event()
    try:
        writing.set()
        path = write_run_report(run) if report else None
        _write_run_manifest(run)
    except KeyboardInterrupt:
        if run.record.state != RunState.INTERRUPTED:
            raise
    finally:
        writing.clear()
    _register_run(run)
    push_run(pipeline.planner, run)
    return path


def push_run(planner: "Planner", run: Run) -> None:
    """Push a run that has ended to the remote store, if there is one that lacks it."""
    if run.project.store.remote is None or run.state == RunState.INTERRUPTED:  # who interrupts does not wait
        return
    from mlnb.engine.finished_runs import share_run
    from mlnb.governance.run_manifest import run_archives

    try:
        share_run(planner, run, run_archives)
    except KeyboardInterrupt:  # the run itself has ended
        message = f"Run {run.id} is not pushed completely; the same command continues."
        warnings.warn(message, RemoteWarning, stacklevel=2)


def _skip_report(writing: threading.Event) -> None:
    """Handle a further Ctrl-C after a run was interrupted: its record and the command to continue with still matter."""
    if writing.is_set():
        raise KeyboardInterrupt


def _write_run_manifest(run: Run) -> None:
    """Write the manifest of a run; an error is a warning, as the run itself is finished."""
    from mlnb.governance.run_manifest import write_manifest

    try:
        write_manifest(run)
    except (MlnbError, OSError, ValueError) as error:
        warnings.warn(f"the manifest of run {run.id} could not be written: {error}", RuntimeWarning, stacklevel=2)


def _register_run(run: Run) -> None:
    """Register the verified model of a run; an error is a warning, as every command of the registry tries again."""
    if run.record.state != RunState.FINISHED or not run.has("certificate"):
        return
    from mlnb.registry.registry import Registry

    try:
        Registry(run.project).register(run)
    except MlnbError as error:
        warnings.warn(f"run {run.id} is not registered yet: {error}", RuntimeWarning, stacklevel=2)


def write_run_report(run: Run) -> Path | None:
    """Write the report; an error is a warning, as the run itself is finished."""
    from mlnb.reports.run_documents import write_documents
    from mlnb.reports.run_report import write_report

    try:
        stored = read_run(run.project, run.folder)  # as `mlnb report` reads it, so that it writes the same bytes
        path = write_report(stored)
        write_documents(stored)
        return Path(os.path.relpath(path))
    except Exception as error:  # noqa: BLE001 -- no error of a report may change the result of a run
        warnings.warn(
            f"the report could not be written: {error!r}; `mlnb report` tries again", RuntimeWarning, stacklevel=2
        )
        return None
