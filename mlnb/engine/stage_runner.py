"""Computes the result of one stage: from the store, from another process that computes it, or by an executor."""

import threading
import time
from functools import partial
from pathlib import Path

from mlnb.codec import Record, encode, replace
from mlnb.engine import runs
from mlnb.engine.code_check import CodeCheck
from mlnb.engine.events import CellStarted, EventDispatcher
from mlnb.engine.files import write_private
from mlnb.engine.job_factory import JobFactory
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step
from mlnb.engine.recipe_keys import recipe_keys
from mlnb.engine.run_accesses import accesses_of_runs
from mlnb.engine.run_records import Outputs, StageResult
from mlnb.engine.snapshot_keys import snapshot_request
from mlnb.engine.stage_files import CellNote, ProgressNote, progress_path, write_cell
from mlnb.engine.stage_jobs import Executor, Outcome, OutcomeState
from mlnb.engine.stage_locks import StageLocks
from mlnb.engine.stage_orders import AnyExecutor, Dispatcher, StageOrder
from mlnb.engine.store import LINKED
from mlnb.engine.test_set_access import Access, is_held_out, read_accesses
from mlnb.errors import ContractBroken, NotebookError, RemoteError, StoreCorrupted


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
        self,
        run: runs.Run,
        planner: Planner,
        executor: AnyExecutor,
        jobs: JobFactory,
        dispatch: EventDispatcher,
        dispatched: bool,
    ) -> None:
        self.run = run
        self.planner = planner
        self.store = planner.project.store
        self.executor = executor
        self.jobs = jobs
        self.dispatch = dispatch
        self.locks = StageLocks(planner, dispatched)

    def compute(self, task: StageTask, cancelled: threading.Event) -> Computed | Outcome:
        """Compute a stage while holding the lock of its key, or wait for the process that does and use its result."""
        key, name, holder = task.step.key, task.step.name, ""
        assert key is not None
        while not cancelled.is_set():
            with self.locks.hold(name, key) as lock:
                if lock.held:
                    return self._compute(task, key, lock.shared)
            if lock.holder and lock.holder != holder:
                holder = lock.holder
                self._on_progress(name, ProgressNote(done=0, total=1, text=f"waits for {holder}, which runs it"))
            cancelled.wait(lock.wait)
        return Outcome(state=OutcomeState.INTERRUPTED)

    def _compute(self, task: StageTask, key: str, shared: bool) -> Computed | Outcome:
        """Compute a stage whose lock is held; return another run's result if there is one by now."""
        remote, name = self.store.remote, task.step.name
        forced = name in self.planner.selection.forced
        result = self.store.result(key)
        if result is not None and not forced and self.store.is_complete(result):
            return Computed(result=result, by_another_run=True)
        pushed = remote.stage(key, self.planner, again=True) if remote and shared and not forced else None
        if pushed is not None:  # by the machine that had the lock
            return Computed(result=pushed.result, by_another_run=True)
        if isinstance(self.executor, Dispatcher):
            return self._order(self.executor, task, key, forced)
        computed = self._execute(self.executor, task, key)
        if shared and isinstance(computed, Computed):  # the lock is held until it is pushed
            self.planner.share(name, key, computed.result)
        return computed

    def _order(self, executor: Dispatcher, task: StageTask, key: str, forced: bool) -> Computed | Outcome:
        """Have another machine run a stage; return its result, which that machine has pushed to the remote store."""
        step, name, remote = task.step, task.step.name, self.store.remote
        assert remote is not None
        opens = any(is_held_out(output.description) for output in task.inputs.values())
        order = StageOrder(
            stage=name,
            key=key,
            recipe=recipe_keys(self.planner)[name],
            forced=forced,
            accesses=self._accesses() if opens else (),
        )
        on_cell, on_progress = partial(self._on_cell, name), partial(self._on_progress, name)
        reply = executor.dispatch(self.run.record.pipeline, self.planner, order, on_cell, on_progress)
        if reply.host:
            self.run.update_stage(name, reason=f"{step.reason or 'forced'}; on {reply.host}")
        shared = remote.stage(key, self.planner, again=True) if reply.state == OutcomeState.FINISHED else None
        notebook = shared.result.notebook if shared else reply.notebook
        if notebook and self.store.fetch([notebook]):
            self.store.copy_to(notebook, self.jobs.target(self.planner.graph.stages[name]))
        if shared is not None:
            return Computed(result=shared.result)
        if reply.state != OutcomeState.FINISHED:
            return reply.outcome()
        problem = remote.down or "another machine, such as one of another platform, has pushed it"
        message = f"RemoteError: {reply.host} has run {name}, and its result cannot be used here: {problem}"
        return Outcome(state=OutcomeState.FAILED, message=message, error=RemoteError)

    def _accesses(self) -> tuple[Access, ...]:
        """Return all accesses to held-out artifacts that this machine knows, which are counted in an evaluation."""
        return tuple(sorted({*read_accesses(self.store.root), *accesses_of_runs(self.planner.project)}))

    def _execute(self, executor: Executor, task: StageTask, key: str) -> Computed | Outcome:
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
        code = CodeCheck(self.planner, step)

        def on_cell(cell: int, cells: int, heading: str) -> None:
            code.compare()
            self._on_cell(name, cell, cells, heading)

        outcome = executor.execute(job, on_cell)
        if restored and not outcome.restored:
            self.run.update_stage(name, reason=f"{step.reason}, which has ended: starts at the first cell")
        if outcome.state == OutcomeState.FAILED:
            note = self.jobs.error(name, task.attempt)
            if note is None:
                return outcome
            return replace(outcome, error=outcome.error or note.error_class, transient=note.transient)
        if outcome.state != OutcomeState.FINISHED:
            return outcome
        if code.has_changed:  # the result is not that of the key
            message = f"NotebookError: the code of {name} was changed while it started, so that another one was planned"
            return Outcome(state=OutcomeState.FAILED, message=message, error=NotebookError, transient=True)
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

    def _on_progress(self, name: str, note: ProgressNote) -> None:
        """Write progress that no notebook of this machine reports where such a notebook writes it."""
        write_private(progress_path(self.jobs.folder, name), encode(note))
