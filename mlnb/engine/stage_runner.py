"""Computes the result of one stage: from the store, from another process that computes it, or by an executor."""

import threading
import time
from functools import partial
from pathlib import Path

from mlnb.codec import Record, replace
from mlnb.engine import runs
from mlnb.engine.events import CellStarted, EventDispatcher
from mlnb.engine.job_factory import JobFactory
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step
from mlnb.engine.run_records import Outputs, StageResult
from mlnb.engine.snapshot_keys import snapshot_request
from mlnb.engine.stage_files import CellNote, write_cell
from mlnb.engine.stage_jobs import Executor, Outcome, OutcomeState
from mlnb.engine.store import LINKED
from mlnb.errors import ContractBroken, StoreCorrupted

POLL = 0.05  # seconds between two attempts to lock a stage key


class StageTask(Record, frozen=True, kw_only=True):
    """A stage that is to be executed.

    Args:
        step: Its step of the plan.
        attempt: Id of the attempt.
        inputs: Records of the artifacts that it reads.
        low_priority: Whether a stage that more stages depend on runs at the same time.
    """

    step: Step
    attempt: str
    inputs: Outputs
    low_priority: bool


class Computed(Record, frozen=True, kw_only=True):
    """The result of a stage, and whether another run computed it in the meantime."""

    result: StageResult
    by_another_run: bool = False


class StageRunner:
    """Computes the stages of one run; several at once in threads."""

    def __init__(
        self, run: runs.Run, planner: Planner, executor: Executor, jobs: JobFactory, dispatch: EventDispatcher
    ) -> None:
        self.run = run
        self.planner = planner
        self.store = planner.project.store
        self.executor = executor
        self.jobs = jobs
        self.dispatch = dispatch

    def compute(self, task: StageTask, cancelled: threading.Event) -> Computed | Outcome:
        """Compute a stage while holding the lock of its key, or wait for the process that does and use its result."""
        key = task.step.key
        assert key is not None
        while not cancelled.is_set():
            with self.store.lock(key) as held:
                if held:
                    result = self.store.result(key)
                    forced = task.step.name in self.planner.selection.forced
                    if result is not None and not forced and self.store.is_complete(result):
                        return Computed(result=result, by_another_run=True)
                    return self._execute(task, key)
            time.sleep(POLL)
        return Outcome(state=OutcomeState.INTERRUPTED)

    def _execute(self, task: StageTask, key: str) -> Computed | Outcome:
        step, name = task.step, task.step.name
        if self.store.remote is not None and not self.store.fetch_outputs(task.inputs):
            message = f"StoreCorrupted: artifacts that {name} reads are missing in the local and the remote store"
            return Outcome(state=OutcomeState.FAILED, message=message, error=StoreCorrupted)
        restore_key = step.restore_key
        restored = self.planner.live_snapshot(restore_key) if restore_key is not None else None
        scratch = restored.scratch if restored else key
        snapshots = step.snapshots.before if step.snapshots else {}
        self.jobs.write_inputs(name, task.attempt, key, task.inputs, scratch, snapshots, task.low_priority)
        job = self.jobs.job(self.planner.graph.stages[name], task.attempt)
        if step.snapshots:
            job = replace(job, snapshots=snapshot_request(self.run, name, step.snapshots, scratch, restored))
        job.target.unlink(missing_ok=True)  # of an attempt before: it may be a link to an object of the store
        started, start = runs.now(), time.monotonic()
        outcome = self.executor.execute(job, partial(self._on_cell, name))
        if restored and not outcome.restored:
            self.run.update_stage(name, reason=f"{step.reason}, which has ended: starts at the first cell")
        if outcome.state == OutcomeState.FAILED:
            note = self.jobs.error(name, task.attempt)
            if note is None:
                return outcome
            return replace(outcome, error=outcome.error or note.error_class, transient=note.transient)
        if outcome.state != OutcomeState.FINISHED:
            return outcome
        report = self.jobs.report(name, task.attempt)
        if report is None or not report.closed:
            message = "ContractBroken: the notebook ended without `stage.close()`"
            return Outcome(state=OutcomeState.FAILED, message=message, error=ContractBroken)
        notebook = self.store.put_file(job.target)
        if job.target.stat().st_size >= LINKED:
            self.store.copy_to(notebook, job.target)
        if job.snapshots is not None and not job.snapshots.keep_finished:  # nothing continues from its outputs
            Path(job.snapshots.log).unlink(missing_ok=True)
        result = StageResult(
            outputs=report.outputs,
            metrics=report.metrics,
            held_out=report.held_out,
            notebook=notebook,
            run=self.run.id,
            started=started,
            finished=runs.now(),
            seconds=round(time.monotonic() - start, 3),
        )
        self.store.put_result(key, result)
        self.store.clear_scratch(scratch)
        return Computed(result=result)

    def _on_cell(self, name: str, cell: int, cells: int, heading: str) -> None:
        """Report that the execution of a cell has started: to listeners, and to processes that follow the run."""
        self.dispatch(CellStarted(self.run, name, cell, cells, heading))
        write_cell(self.jobs.folder, name, CellNote(cell=cell, cells=cells, heading=heading))
