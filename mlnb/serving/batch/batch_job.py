"""A whole job: read, score, write; stop at a bad row or put it aside; continue after a kill."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import fsspec
import pyarrow as pa

from mlnb.engine.digests import digest_value
from mlnb.errors import ServingError, UsageError
from mlnb.serving.batch.batch_scorer import COMPILE_AFTER, ScoredTable, Scorer
from mlnb.serving.batch.batch_workers import WorkerOptions, score_units
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.input_units import Unit, count_rows, split_files
from mlnb.serving.batch.job_checkpoints import BadRow, Checkpoint, Counts, JobKey

PART_ROWS = 1_000_000  # rows after which a part is written
PART_SECONDS = 20.0  # or seconds
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class JobOptions:
    """What a job scores, with what, and where the output goes.

    Args:
        sources: files, globs, folders, DVC pointers, or their URLs; databases as `URL::table`.
        output: path or URL of a Parquet or CSV file.
        model: folder of a bundle's model.
        version: version of the model.
        keep: columns of the input that the output repeats.
        quarantine: file for bad rows; None: the first one stops the job.
        workers: processes.
        compile_after: rows after which a process compiles the model; None: never.
        ignore_unknown: whether columns that the model does not know are left out instead of refused.
        fill_missing: whether a column that may have missing values may be missing altogether.
        sheet: Excel: name of the sheet; empty: the one with the model's columns.
    """

    sources: list[str]
    output: str
    model: Path
    version: str
    keep: tuple[str, ...] = ()
    quarantine: str | None = None
    workers: int = 1
    compile_after: int | None = COMPILE_AFTER
    ignore_unknown: bool = False
    fill_missing: bool = False
    sheet: str = ""


ReportProgress = Callable[[Counts, int | None], None]  # counts so far, rows in all where known


def run_job(options: JobOptions, scratch: Path, report: ReportProgress = lambda counts, total: None) -> Counts:
    """Run a job to its end, when its output appears whole.

    Args:
        options: what is scored.
        scratch: folder for the parts of a job whose output is not local.
        report: called with the progress after each unit.

    Returns:
        The rows of the finished job.

    Raises:
        UsageError: a bad row where none is allowed, or an input that cannot be read.
        ServingError: a process was killed. Finished parts remain, here as for a bad row, and the same job continues.
    """
    system, path = fsspec.core.url_to_fs(options.output)
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{options.output}: found the suffix {suffix!r}, expected one of {', '.join(SUFFIXES)}.")
    local = "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)
    scorer = Scorer(
        options.model, options.keep, options.compile_after, options.ignore_unknown, options.fill_missing
    )  # a wrong model fails before workers start
    files = find_files(options.sources, scorer.schema.layout, scorer.schema.names, options.sheet)
    output = Path(path) if local else scratch / f"output{suffix}"
    key = JobKey(
        files=[[file.shown, digest_value([file.url, file.version, file.sheet])] for file in files],
        model=options.version,
        keep=list(options.keep),
        quarantine=options.quarantine is not None,
        workers=options.workers,
    )
    checkpoint = Checkpoint(output.with_name(f".{output.name}.parts"), key)
    total = count_rows(files)
    names = [file.shown for file in files] if len(files) > 1 else None
    part = _Part(checkpoint, names)
    report(checkpoint.counts, total)
    units = split_files(files, checkpoint.position, options.workers)
    workers = WorkerOptions(
        options.model,
        files,
        options.keep,
        options.workers,
        options.compile_after,
        options.ignore_unknown,
        options.fill_missing,
    )
    for unit, scored in score_units(workers, scorer, units):
        if scored.bad and options.quarantine is None:
            part.close()
            raise _refuse(scored.bad[0], files[unit.file].shown, part.counts.in_file)
        part.add(unit, scored)
        report(part.counts, total)
    part.close()
    counts = checkpoint.counts
    if counts.read != counts.scored + counts.bad or total not in (None, counts.read):
        raise ServingError(
            f"Rows were lost: {total} in the input, {counts.read} read, {counts.scored} scored, {counts.bad} bad."
        )
    if not checkpoint.parts:
        raise UsageError(f"{', '.join(options.sources)}: found no rows, expected some.")
    checkpoint.finish(output, None if options.quarantine is None else Path(options.quarantine))
    if not local:
        system.put_file(str(output), path)
        output.unlink()
    return counts


class _Part:
    """Rows that were scored since the last part was written."""

    def __init__(self, checkpoint: Checkpoint, files: list[str] | None) -> None:
        self.checkpoint, self.files = checkpoint, files
        self.counts = Counts(**vars(checkpoint.counts))
        self.position = checkpoint.position
        self._clear()

    def _clear(self) -> None:
        self.tables: list[pa.Table] = []
        self.bad: list[BadRow] = []
        self.started = time.monotonic()

    def add(self, unit: Unit, scored: ScoredTable) -> None:
        """Add a unit's rows, and write the part when it has many or is old."""
        if unit.file != self.position[0]:
            self.counts.in_file = 0
        first = self.counts.in_file
        file = None if self.files is None else self.files[unit.file]
        if scored.rows:
            rows = pa.array(scored.good.column("row").to_numpy() + first)
            table = scored.good.set_column(0, scored.good.field("row"), rows)
            if self.files is not None:
                codes = pa.array([unit.file] * len(table), pa.int32())
                names = pa.DictionaryArray.from_arrays(codes, pa.array(self.files))
                table = table.add_column(0, pa.field("file", names.type, nullable=False), names)
            self.tables.append(table)
        self.bad += [replace(bad, file=file, row=bad.row + first) for bad in scored.bad]
        bad = scored.rows - len(scored.good) if scored.rows else 0
        self.counts.read += scored.rows
        self.counts.scored += scored.rows - bad
        self.counts.bad += bad
        self.counts.in_file = 0 if unit.next[0] != unit.file else first + scored.rows
        self.position = unit.next
        if sum(map(len, self.tables)) >= PART_ROWS or time.monotonic() - self.started > PART_SECONDS:
            self.close()

    def close(self) -> None:
        """Write the part, unless it is empty."""
        if self.tables:
            self.checkpoint.add(self.tables, self.bad, self.position, self.counts)
        self._clear()


def _refuse(bad: BadRow, file: str, first: int) -> UsageError:
    return UsageError(
        f"{file}, row {bad.row + first}, column {bad.column!r}: found {bad.found}, expected {bad.expected}. "
        "Correct it and run the same command again, or put such rows aside: --quarantine bad.jsonl"
    )
