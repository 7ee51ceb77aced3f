"""Runs a plan: each stage starts as soon as its inputs are saved; run.json is up to date after every step.

A stage that has read artifacts of a stage that still runs is finished when that stage is: if that one fails, its
readers have no result, although their own cells succeeded. So no model is packaged that could not be evaluated.
"""

import threading
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from mlnb.engine import runs
from mlnb.engine.artifacts import RunArtifacts
from mlnb.engine.events import (
    EventDispatcher,
    RunFinished,
    RunStarted,
    StageFailed,
    StageFinished,
    StageProgress,
    StageRetried,
    StageReused,
    StageStarted,
)
from mlnb.engine.finished_runs import note_finished
from mlnb.engine.initial_record import RunOptions, initial_record
from mlnb.engine.interrupts import on_next_interrupt
from mlnb.engine.job_factory import JobFactory
from mlnb.engine.parameter_values import read_secrets
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.prefetch import Prefetcher
from mlnb.engine.run_records import RunState, StageResult, StageState
from mlnb.engine.stage_files import ProgressNote
from mlnb.engine.stage_jobs import Outcome, OutcomeState, failed_with
from mlnb.engine.stage_orders import AnyExecutor
from mlnb.engine.stage_retries import StageRetries
from mlnb.engine.stage_runner import Computed, StageRunner, StageTask
from mlnb.errors import NotebookError, StoreCorrupted, StoreFull

POLL = 0.05  # seconds between two checks for progress, saved artifacts and an interruption
StageFuture = Future[Computed | Outcome]


class Pipeline:
    """One run of a plan. `execute` returns the run; its record has the outcome of each stage."""

    def __init__(
        self, planner: Planner, executor: AnyExecutor, dispatch: EventDispatcher, options: RunOptions, workers: int = 2
    ) -> None:
        """Create the run.

        Args:
            planner: The plan.
            executor: Executes the notebooks, or has other machines execute them.
            dispatch: Receives the events.
            options: What the run was started with.
            workers: Number of stages that run at once.

        Raises:
            ParameterError: A secret that a parameter uses is not set.
        """
        self.planner = planner
        self.project = planner.project
        self.graph = planner.graph
        self.executor = executor
        self.dispatch = dispatch
        self.workers = workers
        self.cancelled = threading.Event()
        self._start = time.monotonic()
        self._artifacts = RunArtifacts(self.graph)
        self._attempts: dict[str, str] = {}  # attempt id of each stage that runs
        self._rebuilt: set[str] = set()  # stages that run again as their artifacts were damaged
        self._outdated: set[str] = set()  # running stages whose inputs have changed since they started
        self._held: dict[str, Computed] = {}  # computed stages, some of whose producers still run
        self._progress: dict[str, ProgressNote] = {}
        secrets = read_secrets(planner.values)  # before the run is created: one may be unset
        self.run = runs.create_run(self.project, options.pipeline)
        self.run.record = initial_record(self.run.record, planner, options)
        self.run.save()
        self._jobs = JobFactory(self.run, planner.values, secrets)
        self._runner = StageRunner(self.run, planner, executor, self._jobs, dispatch, options.dispatched)
        self._prefetcher = Prefetcher(executor, self._jobs, planner)
        self._retries = StageRetries(self.run)

    def execute(self) -> runs.Run:
        """Run every stage that must run, in threads; return the run when all have ended or one has failed."""
        self.dispatch(RunStarted(self.run))
        pending = list(self.graph.stages)
        running: dict[StageFuture, str] = {}
        failed = False
        with ThreadPoolExecutor(self.workers, thread_name_prefix="stage") as pool:
            try:
                while pending or running:
                    if not failed and not self.cancelled.is_set():
                        failed = not self._start_ready(pending, running, pool)
                        self._prefetcher.choose(pending, running.values(), self._artifacts)
                    elif not running:
                        break
                    done, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
                    if pending and not running:  # all that are left wait for their next attempt
                        self.cancelled.wait(POLL)
                    self._read_reports(running.values())
                    for future in done:
                        failed |= not self._settle(running.pop(future), future, pending)
                    self._release(pending)
            except KeyboardInterrupt:
                with on_next_interrupt(self.executor.interrupt):
                    self.interrupt()
                    for future, name in list(running.items()):
                        self._settle(name, future, pending)
                    self._release(pending)
                    self._finish(failed)
                return self.run
        self._finish(failed)
        return self.run

    def interrupt(self) -> None:
        """Stop soon: running stages are ended, finished ones are kept."""
        self.cancelled.set()
        self.executor.interrupt()

    def _start_ready(self, pending: list[str], running: dict[StageFuture, str], pool: ThreadPoolExecutor) -> bool:
        """Start or reuse every stage whose inputs are available; return False when an edit made one unusable."""
        progress = True
        while progress:
            progress = False
            unfinished = [*pending, *running.values(), *self._held]
            for name in self.graph.by_priority(self._retries.due(pending)):
                if len(running) >= self.workers or not self._artifacts.ready(name, unfinished):
                    continue
                pending.remove(name)
                progress = True
                try:
                    self.planner.refresh(name)
                except NotebookError as error:
                    return self._fail(name, failed_with(error))
                step = self.planner.step(name, self._artifacts.parent_outputs(name), name in self._rebuilt)
                lost = step.result is not None and not self._copy_notebook(name, step.result)
                if lost and step.action == StepAction.REUSE:
                    self._rebuilt.add(name)
                    step = self.planner.step(name, self._artifacts.parent_outputs(name), ignore_store=True)
                attempt = self._prefetcher.take(step)
                self.run.update_stage(name, reason=step.reason, key=step.key, key_inputs=step.key_inputs)
                if step.action == StepAction.SKIP:
                    self.run.update_stage(name, state=StageState.SKIPPED)
                elif step.result is not None:
                    self._artifacts.assign_inputs(name)
                    self._accept(name, step.result, StageState.REUSED)
                else:
                    task = self._start_stage(step, attempt, self.graph.has_low_priority(name, unfinished))
                    running[pool.submit(self._runner.compute, task, self.cancelled)] = name
        return True

    def _start_stage(self, step: Step, attempt: str, low_priority: bool) -> StageTask:
        """Record that a stage starts; return its task."""
        self.run.update_stage(step.name, state=StageState.RUNNING, started=runs.now())
        self.run.save()
        self.dispatch(StageStarted(self.run, step.name, step.reason))
        self._attempts[step.name] = attempt
        inputs = self._artifacts.assign_inputs(step.name)
        return StageTask(step=step, attempt=attempt, inputs=inputs, low_priority=low_priority)

    def _settle(self, name: str, future: StageFuture, pending: list[str]) -> bool:
        """Record how a stage ended; return False when it failed."""
        self.executor.discard(self._jobs.target(self.graph.stages[name]))  # not needed if another run computed it
        if name in self._outdated:
            self._run_again(name, pending)
            return True
        try:
            ended = future.result()
        except OSError as error:
            ended = failed_with(error, StoreFull if isinstance(error, StoreFull) else None)
        if isinstance(ended, Computed):
            self._artifacts.update(name, ended.result.outputs)
            self._held[name] = ended
            return True
        if self._retries.add(name, ended) is not None:
            self._run_again(name, pending)
            self.dispatch(StageRetried(self.run, name, ended.message))
            return True
        return (ended.error is StoreCorrupted and self._rebuild(name, pending)) or self._fail(name, ended)

    def _release(self, pending: list[str]) -> None:
        """Finish the computed stages whose producers have finished; drop those with a producer that failed."""
        unfinished, lost = (StageState.WAITING, StageState.RUNNING), (StageState.FAILED, StageState.INTERRUPTED)
        progress = True
        while progress:
            progress = False
            for name in list(self._held):
                states = {self.run.stages[producer].state for producer in self.graph.parents(name)}
                if states.intersection(unfinished):
                    continue
                progress, computed = True, self._held.pop(name)
                if states.intersection(lost):
                    self._artifacts.forget(name)
                    self.run.update_stage(name, state=StageState.WAITING)
                elif name in self._outdated:
                    self._run_again(name, pending)
                else:
                    self._finish_stage(name, computed, pending)

    def _finish_stage(self, name: str, computed: Computed, pending: list[str]) -> None:
        """Record the result of a stage; run its readers again that were given other bytes."""
        state = StageState.FINISHED
        if computed.by_another_run:
            state = StageState.REUSED
            self._copy_notebook(name, computed.result)
            self.run.update_stage(name, reason="another run made it at the same time")
        for reader in self._accept(name, computed.result, state):
            reader_state = self.run.stages[reader].state
            if reader_state == StageState.RUNNING:
                self._outdated.add(reader)
            elif reader_state.has_outputs:
                self._run_again(reader, pending)

    def _fail(self, name: str, outcome: Outcome) -> bool:
        """Record that a stage failed or was interrupted; return False."""
        state = StageState.INTERRUPTED if outcome.state == OutcomeState.INTERRUPTED else StageState.FAILED
        outcome = self._retries.counted(name, outcome)
        failure = outcome.as_failure(name, self._notebook(name))
        self.run.update_stage(name, state=state, finished=runs.now(), notebook=failure.notebook, error=failure)
        self.run.save()
        self.dispatch(StageFailed(self.run, name, outcome.message))
        return False

    def _rebuild(self, name: str, pending: list[str]) -> bool:
        """Run the ancestors with damaged artifacts again, then the stage itself; return False when there are none."""
        if not (damaged := set(self._artifacts.damaged(name, self.project.store)) - self._rebuilt):
            return False
        for other in [*damaged, name]:
            self._rebuilt.add(other)
            self._run_again(other, pending)
        return True

    def _run_again(self, name: str, pending: list[str]) -> None:
        """Put a stage back among the pending ones."""
        self._prefetcher.drop()
        self._outdated.discard(name)
        self._artifacts.forget(name)
        pending.append(name)
        self.run.update_stage(name, state=StageState.WAITING)

    def _copy_notebook(self, name: str, result: StageResult) -> bool:
        """Copy the executed notebook of a result into the run; return False when it cannot be pulled."""
        if self.project.store.remote is not None and not self.project.store.fetch([result.notebook]):
            return False
        self.project.store.copy_to(result.notebook, self._jobs.target(self.graph.stages[name]))
        return True

    def _accept(self, name: str, result: StageResult, state: StageState) -> list[str]:
        """Record the result of a stage; return the stages that were given other bytes."""
        misled = self._artifacts.finish(name, result.outputs)
        self.run.update_stage(
            name,
            state=state,
            **result.record_fields(),
            notebook=self._notebook(name),
            reads=self._artifacts.input_digests(name),
            error=None,
        )
        self.run.save()
        self.planner.share(name, self.run.stages[name].key or "", result)
        finished = state == StageState.FINISHED
        self.dispatch(StageFinished(self.run, name) if finished else StageReused(self.run, name))
        return misled

    def _finish(self, failed: bool) -> None:
        self._prefetcher.drop()
        for name in self._held:  # a producer did not start again
            self.run.update_stage(name, state=StageState.WAITING)
        stages = {stage.state for stage in self.run.stages.values()}  # Ctrl-C may end one before it is handled here
        interrupted = self.cancelled.is_set() or StageState.INTERRUPTED in stages
        state = RunState.INTERRUPTED if interrupted else RunState.FAILED if failed else RunState.FINISHED
        self.run.update(state=state, finished=runs.now(), seconds=round(time.monotonic() - self._start, 3))
        self.run.save()
        runs.set_latest(self.run)
        if state == RunState.FINISHED:
            note_finished(self.run)
        self.planner.save_caches()
        self.dispatch(RunFinished(self.run))

    def _read_reports(self, names: Iterable[str]) -> None:
        """Read the artifacts and the progress that running stages have reported."""
        for name in list(names):
            report = self._jobs.report(name, self._attempts[name])
            if report is not None:
                self._artifacts.update(name, report.outputs)
            if (note := self._jobs.progress(name)) is not None and self._progress.get(name) != note:
                self._progress[name] = note
                self.dispatch(StageProgress(self.run, name, note.done, note.total, note.text))

    def _notebook(self, name: str) -> str | None:
        path = Path("notebooks") / self.graph.stages[name].path.name
        return path.as_posix() if (self.run.folder / path).exists() else None
