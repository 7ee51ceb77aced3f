"""The projects that the dashboard shows: their runs, read again only when their files have changed."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from mlnb.engine.confined_names import is_plain_name
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, read_run, read_runs
from mlnb.tracking.run_table import RunRow, describe


class Signature(NamedTuple):
    """What changes when run.json is written: its inode, time of modification and size."""

    inode: int
    modified: int
    size: int


class ProjectView:
    """A project with the records of its runs; `key` is its name in addresses."""

    def __init__(self, key: str, project: Project) -> None:
        self.key = key
        self.project = project
        self._runs: dict[Path, tuple[Signature, Run]] = {}
        self._rows: dict[Path, tuple[Run, RunRow]] = {}

    @property
    def name(self) -> str:
        """The name of the project's folder."""
        return self.project.name

    def url(self, *parts: str) -> str:
        """Return the address of a page of the project, such as `url("runs", id)`."""
        return "/".join(["/p", *(quote(part, safe="") for part in (self.key, *parts))])

    def run_url(self, run: Run) -> str:
        """Return the address of a run's page."""
        return self.url("runs", run.id)

    def runs(self) -> tuple[list[Run], list[str]]:
        """Return all runs, newest first, and one message for each damaged one."""
        return read_runs(self.project, self._read)

    def run_names(self, pattern: str) -> list[str]:
        """Return the names of the folders of runs that match, newest first: they begin with the time."""
        folder = self.project.runs
        return sorted((path.name for path in folder.glob(pattern)), reverse=True) if folder.is_dir() else []

    def run(self, name: str) -> Run | None:
        """Return the run with an id; None when there is none. Raises `SchemaError` when its run.json is damaged."""
        if not is_plain_name(name):
            return None
        try:
            return self._read(self.project, self.project.runs / name)
        except OSError:
            return None

    def row(self, run: Run) -> RunRow:
        """Return a run with everything that it can be sorted and filtered by."""
        stored = self._rows.get(run.folder)
        if stored is None or stored[0] is not run:
            self._rows[run.folder] = stored = (run, describe(run))
        row = stored[1]
        return row._replace(values=row.values | {"state": run.state})  # a process may have ended since

    def _read(self, project: Project, folder: Path) -> Run:
        status = (folder / "run.json").stat()
        signature = Signature(status.st_ino, status.st_mtime_ns, status.st_size)
        stored = self._runs.get(folder)
        if stored is None or stored[0] != signature:
            self._runs[folder] = stored = (signature, read_run(project, folder))
        return stored[1]


def view_projects(projects: Sequence[Project]) -> dict[str, ProjectView]:
    """Return a view of each project by its key; two of the same name have different keys."""
    views: dict[str, ProjectView] = {}
    for project in projects:
        base = key = re.sub(r"[^A-Za-z0-9_-]+", "-", project.name).strip("-") or "project"
        number = 1
        while key in views:
            number += 1
            key = f"{base}-{number}"
        views[key] = ProjectView(key, project)
    return views
