"""Runs of all machines that have not finished: their records are in the shared database while they run.

A run has a lease while its process lives, so its state is known on every machine: running, or killed. The record of a
run that has finished or failed is removed: it is in the remote store, if there is one. That of a killed or interrupted
run stays for `KEEP_DAYS`, as it is nowhere else.
"""

import socket
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from mlnb.codec import decode, encode, replace
from mlnb.engine.confined_names import is_plain_name
from mlnb.engine.events import CellStarted, Event, RunFinished, StageProgress
from mlnb.engine.project import Project
from mlnb.engine.run_processes import RunLeases, run_lease
from mlnb.engine.run_records import RunRecord, RunState
from mlnb.engine.runs import Run
from mlnb.engine.shared_database import METADATA, SharedDatabase
from mlnb.errors import SchemaError
from mlnb.machine import actor

KEEP_DAYS = 7
RUNS = sa.Table(
    "mlnb_active_runs",
    METADATA,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("host", sa.String(200), nullable=False),
    sa.Column("person", sa.String(200), nullable=False),
    sa.Column("record", sa.Text, nullable=False),  # JSON of `RunRecord`, without artifacts
    sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
)


class ActiveRun(NamedTuple):
    """A run that has not finished: the run without its artifacts, its machine, and who has started it."""

    run: Run
    host: str
    person: str


class ActiveRuns:
    """A listener that writes the records of runs into the database, in a thread: no stage waits for it."""

    def __init__(self, database: SharedDatabase) -> None:
        self._database = database
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="active-runs")
        self._latest: dict[str, Future[None]] = {}
        self._leased: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Write the record of the event's run; a record that has not been written yet is replaced by a newer one."""
        if isinstance(event, CellStarted | StageProgress):
            return
        record = event.run.record
        if (waiting := self._latest.get(record.id)) is not None:
            waiting.cancel()
        self._latest[record.id] = self._writer.submit(self._write, record, isinstance(event, RunFinished))

    def close(self) -> None:
        """Wait until the last records are written."""
        self._writer.shutdown()

    def _write(self, record: RunRecord, ended: bool) -> None:
        lease = run_lease(record.id)
        if not ended and lease not in self._leased and self._database.take(lease):
            self._leased.add(lease)
        done = record.state in (RunState.FINISHED, RunState.FAILED)
        self._database.use(lambda connection: _delete(connection, record) if done else _put(connection, record), None)
        if ended:
            self._database.release(lease)


def _delete(connection: sa.Connection, record: RunRecord) -> None:
    connection.execute(sa.delete(RUNS).where(RUNS.c.id == record.id))


def _put(connection: sa.Connection, record: RunRecord) -> None:
    stages = {name: replace(stage, outputs={}, metrics={}, held_out={}) for name, stage in record.stages.items()}
    text = encode(replace(record, stages=stages)).decode()
    now = sa.func.current_timestamp()
    values = {"host": socket.gethostname(), "person": actor(), "record": text, "updated": now}
    statement = insert(RUNS).values(id=record.id, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    connection.execute(sa.delete(RUNS).where(RUNS.c.updated < now - timedelta(days=KEEP_DAYS)))


def list_active(project: Project, database: SharedDatabase) -> list[ActiveRun]:
    """Return the runs that have not finished and are in no folder here, newest first.

    Args:
        project: The project.
        database: Its database.
    """

    def read(connection: sa.Connection) -> list[tuple[str, str, str]]:
        return [(row.host, row.person, row.record) for row in connection.execute(sa.select(RUNS))]

    active, nothing, leases = [], list[tuple[str, str, str]](), RunLeases(project)
    for host, person, text in database.use(read, nothing):
        try:
            record = decode(RunRecord, text.encode(), f"a run of {host} in {database.url}")
        except SchemaError:  # of another version of mlnb
            continue
        ordered = replace(record, stages={name: record.stages[name] for name in record.order if name in record.stages})
        run = Run(project, project.runs / record.id, ordered)
        run.leases = leases
        if is_plain_name(record.id) and not run.folder.exists():
            active.append(ActiveRun(run, host, person))
    return sorted(active, key=lambda each: each.run.record.started, reverse=True)
