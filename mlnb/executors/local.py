"""Runs jobs in worker processes of this machine, each used again for the next job."""

import logging
import os
import threading
from pathlib import Path

from mlnb import environment
from mlnb.engine.stage_jobs import Job, OnCell, Outcome
from mlnb.kernels.driver.worker_process import Worker
from mlnb.kernels.protocol.jobs import NotebookJob, ResumeJob, SnapshotPlan

# Threads that spin while they wait starve the neighbours' when two stages train at once on two cores; a fixed hash seed
# keeps the order of sets, and with it artifacts, the same in every run.
logger = logging.getLogger(__name__)
KERNELS = {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1"}


def worker_environment() -> dict[str, str]:
    """Return the environment of worker processes; kernels add to it what their job says."""
    return {**environment.QUIET, **KERNELS, **os.environ}


class LocalExecutor:
    """At most `workers` jobs at once; worker processes start when first needed."""

    def __init__(self, workers: int) -> None:
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._preparing = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._held: dict[Path, Worker] = {}  # target of a job that was prepared -> who waits to go on with it
        self._warnings: set[str] = set()
        self._closed = False

    def warm(self, count: int) -> None:
        """Start `count` workers ahead of need, so that their imports overlap with planning."""
        for _ in range(count):
            worker = self._start()
            with self._lock:
                self._idle.append(worker)

    def prepare(self, job: Job) -> bool:
        """Execute a job up to the cell that opens its stage; one at a time, however many runs share the workers."""
        with self._preparing:
            if self._held or self._closed:
                return False
            worker = self._held[job.target] = self._take()
        worker.send(_notebook_job(job, job.opens))  # one that is gone is met, and replaced, by `execute`
        return True

    def discard(self, target: Path) -> None:
        """End what was prepared for a target."""
        worker = self._held.pop(target, None)
        if worker is not None:
            worker.end()

    def trim(self) -> None:
        """End all workers but one that wait for a job."""
        while True:
            with self._lock:
                if len(self._idle) < 2:
                    return
                worker = self._idle.pop(0)
            worker.end()

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Run one job in a worker of its own; never raises for what the notebook does.

        A job that ends before its first cell has begun met a kernel that could not be started, as happens when two
        processes choose the same port at the same moment: it is tried once more, in a new worker.
        """
        with self._slots:
            outcome, begun = self._attempt(job, on_cell)
            if outcome.state in ("failed", "died") and not begun:
                outcome, _ = self._attempt(job, on_cell, fresh=True)
        return outcome

    def _attempt(self, job: Job, on_cell: OnCell, fresh: bool = False) -> tuple[Outcome, bool]:
        """Run one job once; return how it ended and whether any cell had begun."""
        if self._closed:
            return Outcome("interrupted"), False
        begun = False

        def told(cell: int, cells: int, heading: str) -> None:
            nonlocal begun
            begun = True
            on_cell(cell, cells, heading)

        worker = self._held.pop(job.target, None)
        request: NotebookJob | ResumeJob = ResumeJob(snapshots=_snapshot_plan(job))
        if worker is None:
            request = _notebook_job(job, None)
            worker = self._start() if fresh else self._take()
        result = worker.execute(request, told, job.stage_timeout)
        if result.state in ("finished", "failed") and worker.alive and begun:
            with self._lock:
                self._idle.append(worker)
        else:
            worker.end()
        return Outcome(result.state, result.cell, result.heading, result.cause, went_on=result.restored), begun

    def interrupt(self) -> None:
        """End every job that runs."""
        self._closed = True
        for worker in list(self._all):
            if worker.process.poll() is None:
                worker.interrupt()

    def close(self) -> None:
        """End every worker."""
        self._closed = True
        for worker in list(self._all):
            worker.end()

    def _warn(self, text: str) -> None:
        """Log a warning of a worker, the same one once for all workers."""
        with self._lock:
            if text in self._warnings:
                return
            self._warnings.add(text)
        logger.warning(text)

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
        return self._start()

    def _start(self) -> Worker:
        worker = Worker(worker_environment(), self._warn)
        with self._lock:
            self._all.append(worker)
        return worker


def _notebook_job(job: Job, pause_before: int | None) -> NotebookJob:
    """Return a job as a worker takes it, to be paused before a cell or not at all."""
    return NotebookJob(
        source=str(job.source),
        target=str(job.target),
        parameters=job.parameters,
        folder=str(job.folder),
        environment=job.environment,
        secrets=job.secrets,
        cell_timeout=job.cell_timeout,
        pause_before=pause_before,
        snapshots=_snapshot_plan(job),
    )


def _snapshot_plan(job: Job) -> SnapshotPlan | None:
    """Return which snapshots to take and restore, as a worker takes it."""
    asked = job.keeping
    if not asked:
        return None
    return SnapshotPlan(
        snapshots=asked["states"],
        code_cells=tuple(asked["code"]),
        output_log=asked["log"],
        group=asked["family"],
        ttl_minutes=asked["minutes"],
        max_bytes=asked["bytes"],
        labels=asked["about"],
        keep_on_success=asked["after"],
        restore=asked.get("wake"),
        restore_log=asked.get("wake_log", ""),
        variables=asked.get("variables", {}),
    )
