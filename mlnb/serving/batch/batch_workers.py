"""Worker processes: each scores one unit at a time; results come back in order, and few of them wait."""

import ctypes
import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pyarrow as pa

from mlnb.errors import ServingError
from mlnb.serving.batch.batch_scorer import ScoredTable, Scorer
from mlnb.serving.batch.input_files import InputFile
from mlnb.serving.batch.input_units import Unit
from mlnb.serving.batch.unit_tables import all_names, read_tables, text_names
from mlnb.serving.runtime.row_scorers import import_lightgbm_alone

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # worker processes use the cores instead
MALLOC = {-1: 2**28, -3: 2**25}  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (man 3 mallopt), bytes


@dataclass(frozen=True)
class WorkerOptions:
    """What every worker process needs.

    Args:
        model: folder of a bundle's model.
        files: the input.
        keep: columns of the input that the output repeats.
        workers: processes.
        compile_after: rows after which a process compiles the model; None: never.
        ignore_unknown: whether columns that the model does not know are left out instead of refused.
        fill_missing: whether a column that may have missing values may be missing altogether.
    """

    model: Path
    files: list[InputFile]
    keep: tuple[str, ...]
    workers: int
    compile_after: int | None
    ignore_unknown: bool = False
    fill_missing: bool = False


@dataclass(frozen=True)
class Worker:
    """A process that scores: its scorer, and the files of the input."""

    scorer: Scorer
    files: list[InputFile]

    def score(self, unit: Unit) -> ScoredTable:
        """Return the result of scoring a unit, whose rows are counted from its first."""
        file = self.files[unit.file]
        rows, good, bad = 0, [], []
        features = [column.name for column in self.scorer.schema.features]
        for table in read_tables(file, unit, self.scorer.keep, features):
            if not rows:
                self.scorer.check_names(all_names(file, features))
            scored = self.scorer.score(table, rows, text_names(file, table))
            rows += scored.rows
            good.append(scored.good)
            bad += scored.bad
        return ScoredTable(rows, pa.concat_tables(good) if good else pa.table({}), bad)


_process: list[Worker] = []  # the worker of this process, when the pool started it


def score_units(options: WorkerOptions, scorer: Scorer, units: Iterator[Unit]) -> Iterator[tuple[Unit, ScoredTable]]:
    """Yield the result of each unit, in order, while the next ones are being scored.

    Args:
        options: what the workers need.
        scorer: scores in this process when there is one worker.
        units: the units of the input.

    Raises:
        ServingError: a worker was killed. Errors of workers are raised as they are.
    """
    if options.workers == 1:
        _keep_memory()
        worker = Worker(scorer, options.files)
        yield from ((unit, worker.score(unit)) for unit in units)
        return
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[Unit, Future[ScoredTable]]] = deque()
    with _one_thread(), ProcessPoolExecutor(options.workers, context, _start_worker, (options,)) as pool:
        try:
            for unit in units:
                waiting.append((unit, pool.submit(score_in_worker, unit)))
                if len(waiting) > options.workers + 1:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def score_in_worker(unit: Unit) -> ScoredTable:
    """Return the result of scoring a unit in a worker process."""
    return _process[0].score(unit)


def _next(waiting: deque[tuple[Unit, Future[ScoredTable]]]) -> tuple[Unit, ScoredTable]:
    unit, future = waiting.popleft()
    try:
        return unit, future.result()
    except BrokenProcessPool:
        raise ServingError(
            "A worker process was killed, perhaps because memory ran out (fewer --workers need less). "
            "Finished parts are kept: run the same command again to continue."
        ) from None


def _start_worker(options: WorkerOptions) -> None:
    """Prepare a worker process, which ends when the process that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    pa.set_cpu_count(1)
    _keep_memory()
    import_lightgbm_alone()
    _process[:] = [
        Worker(
            Scorer(options.model, options.keep, options.compile_after, options.ignore_unknown, options.fill_missing),
            options.files,
        )
    ]


def _keep_memory() -> None:
    """Keep freed memory: every table of rows needs as much again, and new pages take a fifth of the time."""
    try:
        for setting, count in MALLOC.items():
            ctypes.CDLL(None).mallopt(setting, count)
    except (AttributeError, OSError, TypeError):
        return  # another C library


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
