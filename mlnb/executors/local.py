"""Runs jobs in worker processes of this machine, each used again for the next job."""

import dataclasses
import os
import threading

from mlnb import environment
from mlnb.engine.jobs import Job, OnCell, Outcome
from mlnb.kernels.process import Worker

# Threads that spin while they wait starve the neighbours' when two stages train at once on two cores; a fixed hash seed
# keeps the order of sets, and with it artifacts, the same in every run.
KERNELS = {"OMP_WAIT_POLICY": "passive", "PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1"}


class LocalExecutor:
    """At most `workers` jobs at once; worker processes start when first needed."""

    def __init__(self, workers: int) -> None:
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._closed = False

    def warm(self, count: int) -> None:
        """Start `count` workers ahead of need, so that their imports overlap with planning."""
        for _ in range(count):
            worker = self._start()
            with self._lock:
                self._idle.append(worker)

    def execute(self, job: Job, on_cell: OnCell) -> Outcome:
        """Run one job in a worker of its own; never raises for what the notebook does."""
        with self._slots:
            if self._closed:
                return Outcome("interrupted")
            worker = self._take()
            request = dataclasses.asdict(job) | {
                name: str(getattr(job, name)) for name in ("source", "target", "folder")
            }
            answer = worker.execute(request, on_cell, job.stage_timeout)
            if answer["state"] in ("finished", "failed") and worker.alive:
                with self._lock:
                    self._idle.append(worker)
            else:
                worker.end()
        return Outcome(answer["state"], answer.get("cell"), answer.get("heading", ""), answer.get("cause", ""))

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

    def _take(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive:
                    return worker
        return self._start()

    def _start(self) -> Worker:
        worker = Worker({**environment.QUIET, **KERNELS, **os.environ})
        with self._lock:
            self._all.append(worker)
        return worker
