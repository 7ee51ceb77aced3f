"""Processes that each score one unit at a time; their results come back in order, few of them waiting."""

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
from functools import lru_cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from mlnb.errors import ServingError, UsageError
from mlnb.serving.batch.batch_scorer import Scored, Scorer
from mlnb.serving.batch.input_units import File, Unit
from mlnb.serving.runtime.row_scorers import import_alone

ROWS = 65_536  # scored at a time: enough that what is done once for all of them is little
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # processes share the cores instead
MALLOC = {-1: 2**28, -3: 2**25}  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD (man 3 mallopt), bytes
_state: dict[str, Any] = {}  # of a worker process: its scorer and the files


@dataclass(frozen=True)
class Job:
    """What every worker must know."""

    model: Path
    files: list[File]
    keep: tuple[str, ...]
    workers: int


def score_units(job: Job, scorer: Scorer, units: Iterator[Unit]) -> Iterator[tuple[Unit, Scored]]:
    """Yield what became of each unit, in order, while the next ones are being scored: by `scorer` if by no others.

    Raises `ServingError` when a worker dies, and whatever a worker raised.
    """
    if job.workers == 1:
        _keep_memory()
        _state.update(scorer=scorer, files=job.files)
        yield from ((unit, score_unit(unit)) for unit in units)
        return
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[Unit, Future[Scored]]] = deque()
    with _one_thread(), ProcessPoolExecutor(job.workers, context, _start_worker, (job,)) as pool:
        try:
            for unit in units:
                waiting.append((unit, pool.submit(score_unit, unit)))
                if len(waiting) > job.workers + 1:
                    yield _next(waiting)
            while waiting:
                yield _next(waiting)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def score_unit(unit: Unit) -> Scored:
    """Return what became of a unit's rows; their numbers count from the unit's first."""
    scorer: Scorer = _state["scorer"]
    file: File = _state["files"][unit.file]
    rows, good, bad = 0, [], []
    for table in _tables(file, unit, scorer.keep, [column.name for column in scorer.schema.features]):
        if not rows:
            scorer.check_names(table.column_names)
        scored = scorer.score(table, rows, file.kind == "csv")
        rows += scored.rows
        good.append(scored.good)
        bad += scored.bad
    return Scored(rows, pa.concat_tables(good) if good else pa.table({}), bad)


def _next(waiting: deque[tuple[Unit, Future[Scored]]]) -> tuple[Unit, Scored]:
    unit, future = waiting.popleft()
    try:
        return unit, future.result()
    except BrokenProcessPool:
        raise ServingError(
            "A scoring process was killed, perhaps for want of memory (fewer --workers need less). "
            "What was finished is kept: the same command goes on from there."
        ) from None


def _start_worker(job: Job) -> None:
    """Make a worker ready, and make it end when the process that started it is killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    pa.set_cpu_count(1)
    _keep_memory()
    import_alone()
    _state.update(scorer=Scorer(job.model, job.keep), files=job.files)


def _keep_memory() -> None:
    """Keep memory that is freed: every table of rows needs as much again, and fresh pages cost a fifth of the time."""
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


def _tables(file: File, unit: Unit, keep: tuple[str, ...], features: list[str]) -> Iterator[pa.Table]:
    """Yield a unit's rows, some at a time, with the columns that are needed."""
    wanted = {*keep, *features}
    if unit.body is not None:
        yield from _csv_tables(file, unit.body, wanted)
        return
    metadata, all_names = _read_footer(file)
    names = [name for name in all_names if name in wanted]
    with file.open() as opened:
        # Texts come as their different values and places in these, as the encoder wants them.
        parquet = pq.ParquetFile(opened, metadata=metadata, read_dictionary=[n for n in names if n in features])
        first, stop = unit.slice
        at = 0
        for batch in parquet.iter_batches(ROWS, row_groups=[unit.group], columns=names, use_threads=False):
            low, high = max(first - at, 0), min(stop - at, len(batch))
            at += len(batch)
            if high > low:
                yield pa.Table.from_batches([batch.slice(low, high - low)])
            if at >= stop:
                return


@lru_cache(maxsize=1)
def _read_footer(file: File) -> tuple[pq.FileMetaData, list[str]]:
    """Return what a file of Parquet says of itself, and its columns: once, not for each of its row groups."""
    with file.open() as opened:
        whole = pq.ParquetFile(opened)
        return whole.metadata, list(whole.schema_arrow.names)


def _csv_tables(file: File, body: bytes, wanted: set[str]) -> Iterator[pa.Table]:
    """Yield lines of CSV with every cell as its text."""
    parse = pc.ParseOptions(delimiter=file.separator, newlines_in_values=b'"' in body)
    try:
        head = pc.read_csv(pa.BufferReader(file.header), parse_options=parse).column_names
        names = [name for name in head if name in wanted]
        convert = pc.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), include_columns=names, strings_can_be_null=False
        )
        read = pc.ReadOptions(use_threads=False, block_size=1 << 28)
        table = pc.read_csv(pa.BufferReader(body), read, parse, convert)
    except pa.ArrowInvalid as error:
        raise UsageError(f"{file.url} cannot be cut into rows: {error}") from None
    for at in range(0, len(table), ROWS):
        yield table.slice(at, ROWS)
