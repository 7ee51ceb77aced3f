"""A whole job: read, score, write; stop at a bad row or put it aside; go on where a kill left off."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa

from mlnb.errors import ServingError, UsageError
from mlnb.serving.batch.batch_scorer import Scored, Scorer
from mlnb.serving.batch.batch_workers import Job, score_units
from mlnb.serving.batch.input_units import Unit, count_rows, cut, find_files
from mlnb.serving.batch.progress_ledger import Counts, Ledger

PART_ROWS = 1_000_000  # rows after which what is done is written down
PART_SECONDS = 20.0  # or seconds
ENDINGS = (".parquet", ".csv")


@dataclass(frozen=True)
class Asked:
    """What a job is asked to do."""

    sources: list[str]
    output: str  # path or URL
    model: Path  # folder of a bundle's model
    version: str  # of the model
    keep: tuple[str, ...] = ()
    quarantine: str | None = None  # where bad rows go; None: the first one stops the job
    workers: int = 1


Tell = Callable[[Counts, int | None], None]  # counts so far, rows in all when known


def run_job(asked: Asked, scratch: Path, tell: Tell = lambda counts, total: None) -> Counts:
    """Return the counts of a finished job, whose output is then whole.

    Raises `UsageError` for a bad row where none is allowed, and `ServingError` when a process was killed; in both
    cases what was finished is kept in `scratch`, or beside a local output, and the same job goes on from there.
    """
    system, path = fsspec.core.url_to_fs(asked.output)
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise UsageError(f"{asked.output}: found the ending {ending!r}, expected one of {', '.join(ENDINGS)}.")
    local = "file" in ((system.protocol,) if isinstance(system.protocol, str) else system.protocol)
    scorer = Scorer(asked.model, asked.keep)  # says what is wrong with the model before any process is started
    files = find_files(asked.sources)
    output = Path(path) if local else scratch / f"output{ending}"
    folder = output.with_name(f".{output.name}.parts")
    quarantine = None if asked.quarantine is None else Path(asked.quarantine)
    key = {
        "files": [[file.url, file.version] for file in files],
        "model": asked.version,
        "keep": list(asked.keep),
        "quarantine": asked.quarantine is not None,
        "workers": asked.workers,  # large row groups are cut by them
    }
    ledger = Ledger(folder, key)
    total = count_rows(files)
    named = [file.url for file in files] if len(files) > 1 else None
    part = _Part(ledger, named)
    tell(ledger.counts, total)
    units = cut(files, ledger.place, asked.workers)
    job = Job(asked.model, files, asked.keep, asked.workers)
    for unit, scored in score_units(job, scorer, units):
        if scored.bad and quarantine is None:
            part.close()
            raise _refused(scored.bad, files[unit.file].url, part.counts.in_file)
        part.add(unit, scored)
        tell(part.counts, total)
    part.close()
    counts = ledger.counts
    if counts.read != counts.scored + counts.bad or total not in (None, counts.read):
        raise ServingError(
            f"Rows were lost: {total} there, {counts.read} read, {counts.scored} scored, {counts.bad} bad."
        )
    if not ledger.parts:
        raise UsageError(f"{', '.join(asked.sources)}: found no rows, expected some.")
    ledger.finish(output, quarantine)
    if not local:
        system.put_file(str(output), path)
        output.unlink()
    return counts


class _Part:
    """What was scored since the last part was written."""

    def __init__(self, ledger: Ledger, files: list[str] | None) -> None:
        self.ledger, self.files = ledger, files
        self.counts = Counts(**vars(ledger.counts))
        self.place = ledger.place
        self._forget()

    def _forget(self) -> None:
        self.tables: list[pa.Table] = []
        self.bad: list[dict[str, Any]] = []
        self.began = time.monotonic()

    def add(self, unit: Unit, scored: Scored) -> None:
        """Take up a unit's rows, and write all down when there are many or it was long ago."""
        if unit.file != self.place[0]:
            self.counts.in_file = 0
        first = self.counts.in_file
        if scored.rows:
            rows = pa.array(scored.good.column("row").to_numpy() + first)
            table = scored.good.set_column(0, "row", rows)
            if self.files is not None:
                place = pa.DictionaryArray.from_arrays(
                    pa.array([unit.file] * len(table), pa.int32()), pa.array(self.files)
                )
                table = table.add_column(0, "file", place)
            self.tables.append(table)
        whose = {} if self.files is None else {"file": self.files[unit.file]}
        self.bad += [{**whose, **problem, "row": problem["row"] + first} for problem in scored.bad]
        bad = scored.rows - len(scored.good) if scored.rows else 0
        self.counts.read += scored.rows
        self.counts.scored += scored.rows - bad
        self.counts.bad += bad
        self.counts.in_file = 0 if unit.next[0] != unit.file else first + scored.rows
        self.place = unit.next
        if sum(map(len, self.tables)) >= PART_ROWS or time.monotonic() - self.began > PART_SECONDS:
            self.close()

    def close(self) -> None:
        """Write down what there is."""
        if self.tables:
            self.ledger.add(self.tables, self.bad, self.place, self.counts)
        self._forget()


def _refused(bad: list[dict[str, Any]], file: str, first: int) -> UsageError:
    problem = bad[0]
    return UsageError(
        f"{file}, row {problem['row'] + first}, column {problem['column']!r}: found {problem['found']}, "
        f"expected {problem['expected']}. Mend it and give the same command again, or put such rows aside: "
        "--quarantine bad.jsonl"
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
