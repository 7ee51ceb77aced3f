"""Whether the process of a run lives: on this machine by its id, on another one by the lease of the run."""

import os
from functools import cached_property
from pathlib import Path

from mlnb.engine.project import Project
from mlnb.engine.run_records import RunRecord


class RunLeases:
    """The runs of all machines whose process lives, by one query of the shared database when it is needed."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def living(self) -> frozenset[str]:
        """Names of the leases; none without a database."""
        database = self.project.database
        return frozenset() if database is None else frozenset(database.living(run_lease("")))


def is_alive(project: Project, record: RunRecord, leases: RunLeases | None = None) -> bool:
    """Return whether the process of a run lives; without a shared database, that of another machine counts as gone.

    Args:
        project: The project.
        record: Of the run.
        leases: Those of all runs of a list; None: the database is queried for this run.
    """
    if is_local(record):
        return True
    lease = run_lease(record.id)
    if leases is not None:
        return lease in leases.living
    return project.database is not None and lease in project.database.living(lease)


def run_lease(run: str) -> str:
    """Return the name of the lease of a run, by its id."""
    return f"run/{run}"


def is_local(record: RunRecord) -> bool:
    """Return whether the process of a run lives on this machine."""
    try:
        os.kill(record.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return process_start(record.pid) == record.pid_started


def process_start(pid: int) -> str | None:
    """Return when a process started, in ticks since boot with the boot's id, to notice a process id used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return f"{boot}-{stat.rpartition(')')[2].split()[19]}"
