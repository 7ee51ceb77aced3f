"""Executes jobs in worker processes on this machine; each worker is reused for the next job."""

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from mlnb import environment
from mlnb.engine.stage_jobs import Job, OnCell, Outcome, OutcomeState, SnapshotRequest
from mlnb.kernels.driver.worker_process import Worker
from mlnb.kernels.protocol.jobs import NotebookJob, ResumeJob, SnapshotPlan
from mlnb.url_passwords import hidden_passwords

logger = logging.getLogger(__name__)

# Threads that spin while they wait slow down other stages on the same cores; a fixed hash seed keeps the order of sets,
# and so the artifacts, the same in every run.
KERNEL_ENVIRONMENT = {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1"}


def worker_environment() -> dict[str, str]:
    """Return the environment variables of worker processes; a job adds its own."""
    return {**environment.QUIET, **KERNEL_ENVIRONMENT, **os.environ}


class Attempt(NamedTuple):
    """The outcome of one attempt at a job, and whether a cell was started."""

    outcome: Outcome
    started: bool


class LocalExecutor:
    """Runs at most `workers` jobs at once; worker processes are started when they are needed."""

    def __init__(self, workers: int) -> None:
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._preparing = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._prepared: dict[Path, Worker] = {}  # by target of the prepared job
        self._warnings: set[str] = set()
        self._closed = False

    def warm(self, folder: Path, environment: Mapping[str, str]) -> None:
        """Start a worker and the warm parent of its kernels in advance, so that their imports overlap.

        Args:
            folder: Of the notebooks that will come.
            environment: Variables that each of their jobs adds, if they are read when an interpreter starts.
        """
        worker = self._start(folder, environment)
        with self._lock:
            self._idle.append(worker)

    def prepare(self, job: Job) -> bool:
        """Execute a job up to the cell that opens its stage; at most one job at a time is prepared.

        Returns:
            Whether the job is being prepared.
        """
        with self._preparing:
            if self._prepared or self._closed:
                return False
            worker = self._prepared[job.target] = self._take()
        worker.send(
            _notebook_job(job, job.opening_cell)
        )  # a worker that is gone is noticed, and replaced, by `execute`
        return True

    def discard(self, target: Path) -> None:
        """End the prepared job for a target, if there is one."""
        worker = self._prepared.pop(target, None)
        if worker is not None:
            worker.end()

    def trim(self) -> None:
        """End all idle workers but one."""
        while True:
            with self._lock:
                if len(self._idle) < 2:
                    return
                worker = self._idle.pop(0)
            worker.end()

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Execute one job in a worker; no exception is raised for errors of the notebook.

        A job that ends before its first cell had a kernel that could not start, as happens when two processes choose
        the same port: it is tried once more, in a new worker.
        """
        with self._slots:
            outcome, started = self._attempt(job, on_cell)
            if outcome.state in (OutcomeState.FAILED, OutcomeState.DIED) and not started:
                outcome, _ = self._attempt(job, on_cell, new_worker=True)
        return outcome

    def _attempt(self, job: Job, on_cell: OnCell, new_worker: bool = False) -> Attempt:
        if self._closed:
            return Attempt(Outcome(state=OutcomeState.INTERRUPTED), False)
        started = False

        def cell_started(cell: int, cells: int, heading: str) -> None:
            nonlocal started
            started = True
            on_cell(cell, cells, heading)

        worker = self._prepared.pop(job.target, None)
        request: NotebookJob | ResumeJob = ResumeJob(snapshots=_snapshot_plan(job.snapshots))
        if worker is None:
            worker = self._start() if new_worker else self._take()
            request = _notebook_job(job, None)
        result = worker.execute(request, cell_started, job.stage_timeout)
        outcome = Outcome(
            state=OutcomeState(result.state),
            cell=result.cell,
            heading=result.heading,
            message=result.cause,
            restored=result.restored,
        )
        if outcome.state in (OutcomeState.FINISHED, OutcomeState.FAILED) and worker.alive and started:
            with self._lock:
                self._idle.append(worker)
        else:
            worker.end()
        return Attempt(outcome, started)

    def interrupt(self) -> None:
        """End all running jobs; called again, do not wait until they have ended by themselves."""
        workers, again = list(self._all), self._closed
        self._closed = True
        for worker in workers:  # all before the first ends, which takes its time: none must look as if it had died
            worker.interrupted = True
        if again:
            for worker in workers:
                worker.process.kill()
            return
        for worker in workers:
            if worker.process.poll() is None:
                worker.interrupt()

    def close(self) -> None:
        """End all workers; called again, do nothing."""
        self._closed = True
        with self._lock:
            workers, self._all = self._all, []
        for worker in workers:
            worker.end()

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
        return self._start()

    def _warn(self, text: str) -> None:
        """Log a warning of a worker; the same one of other workers is not repeated."""
        with self._lock:
            if text in self._warnings:
                return
            self._warnings.add(text)
        logger.warning(text)

    def _start(self, folder: Path | None = None, environment: Mapping[str, str] = MappingProxyType({})) -> Worker:
        worker = Worker(worker_environment() | dict(environment), self._warn, folder)
        with self._lock:
            self._all.append(worker)
        return worker


def _notebook_job(job: Job, pause_before: int | None) -> NotebookJob:
    """Return a job for a worker, which pauses before a cell or not at all."""
    return NotebookJob(
        source=str(job.source),
        target=str(job.target),
        parameters=job.parameters,
        folder=str(job.folder),
        environment=hidden_passwords() | job.environment,  # one that was read after the worker has started
        secrets=job.secrets,
        cell_timeout=job.cell_timeout,
        pause_before=pause_before,
        snapshots=_snapshot_plan(job.snapshots),
    )


def _snapshot_plan(request: SnapshotRequest | None) -> SnapshotPlan | None:
    """Return which snapshots a worker takes and restores."""
    if request is None:
        return None
    return SnapshotPlan(
        snapshots=request.keys,
        code_cells=request.code_cells,
        output_log=request.log,
        group=request.family,
        ttl_minutes=request.minutes,
        max_bytes=request.bytes,
        min_seconds=request.seconds,
        labels={"stage": request.stage, "run": request.run, "scratch": request.scratch},
        keep_on_success=request.keep_finished,
        restore=request.restore_key,
        restore_log=request.restore_log,
        variables={"run": request.run} if request.restore_key is not None else {},
    )
