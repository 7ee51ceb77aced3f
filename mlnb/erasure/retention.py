"""Deletion by age: finished segments of prediction logs, and runs; each deletion is recorded in the audit log."""

import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlnb.engine.digests import digest_file
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, now
from mlnb.engine.tombstones import Erasure
from mlnb.erasure.erasure_changes import Journal, Staging
from mlnb.erasure.erasure_journal import finish
from mlnb.machine import actor
from mlnb.monitoring.monitoring_paths import shipped

DAY = 86400.0  # seconds
RUNS, LOG = "retention_runs_days", "retention_log_days"


@dataclass
class Expired:
    """What is older than its retention setting allows.

    Attributes:
        runs: runs.
        segments: finished segments of prediction logs.
    """

    runs: list[Run] = field(default_factory=list)
    segments: list[Path] = field(default_factory=list)

    @property
    def exists(self) -> bool:
        """Whether there is anything."""
        return bool(self.runs or self.segments)

    def describe(self, project: Project) -> Iterator[str]:
        """Yield a line for each run and segment, with the setting and when it was written."""
        for run in self.runs:
            yield f"run {run.id}: started {run.record.started[:10]}, {RUNS} = {project.settings.retention_runs_days:g}"
        for path in self.segments:
            where = path.relative_to(project.root).as_posix()
            yield f"{where}: last row {_day(last_time(path))}, {LOG} = {project.settings.retention_log_days:g}"


def find_expired(project: Project, runs: Iterable[Run], used: Collection[str], at: float | None = None) -> Expired:
    """Return what is older than its retention setting allows.

    Args:
        project: The project, with its settings.
        runs: Its runs.
        used: Ids of runs that are kept at any age.
        at: Seconds since 1970; None: now.
    """
    at, expired = time.time() if at is None else at, Expired()
    if days := project.settings.retention_runs_days:
        expired.runs = [run for run in runs if run.id not in used and _started(run) < at - days * DAY]
    if days := project.settings.retention_log_days:
        segments = sorted((project.store_root / "predictions").glob("*/*.parquet"))
        expired.segments = [path for path in segments if last_time(path) < at - days * DAY]
    return expired


def delete_expired(project: Project, expired: Expired) -> None:
    """Delete expired segments, and record them and the expired runs in the audit log; the caller deletes the runs.

    The chain of a prediction log keeps the digest and the number of rows of a segment that was deleted.
    """
    if not expired.exists:
        return
    name = f"{now()[:19].replace(':', '')}-{os.urandom(3).hex()}"
    staging = Staging(project, name)
    for path in expired.segments:
        staging.remove(path, digest_file(path))
    runs = f"{_count(len(expired.runs), 'run')} ({RUNS} = {project.settings.retention_runs_days:g})" * bool(
        expired.runs
    )
    days = project.settings.retention_log_days
    segments = f"{_count(len(expired.segments), 'segment')} ({LOG} = {days:g})" * bool(expired.segments)
    erasure = Erasure(
        id=name,
        when=now(),
        who=actor(),
        reason="retention: " + ", ".join(filter(None, (runs, segments))),
        files=tuple(staging.erased),
    )
    shared = {staging.where(path): path.parent.name for path in expired.segments if shipped(project, path.parent.name)}
    staging.commit(erasure, Journal(id=name, what="expired", files=tuple(staging.files), removals=shared))
    finish(project, staging.folder)


def last_time(segment: Path) -> float:
    """Return when the last row of a finished segment was predicted, in seconds since 1970; of a damaged one, never."""
    import pyarrow
    import pyarrow.compute as compute
    import pyarrow.parquet as parquet

    try:
        times = parquet.read_table(segment, columns=["time"])["time"]
    except (OSError, ValueError, pyarrow.ArrowException):
        return float("inf")  # `mlnb verify` reports it
    latest = compute.max(times).as_py()
    return float("-inf") if latest is None else float(latest)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _started(run: Run) -> float:
    return datetime.fromisoformat(run.record.started).timestamp()


def _day(seconds: float) -> str:
    return "none" if seconds == float("-inf") else datetime.fromtimestamp(seconds, UTC).date().isoformat()
