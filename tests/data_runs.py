"""Runs that have read a table, without a pipeline: what `ingest` records of a source, in the store of a project."""

import os
from pathlib import Path
from typing import Any

from mlnb.codec import replace
from mlnb.engine.formats import save_object
from mlnb.engine.project import Project
from mlnb.engine.run_records import ParameterValue, RunState, StageRecord, StageState
from mlnb.engine.runs import Run, create_run, set_latest
from mlnb.methods.contracts.declarations import Declarations
from mlnb.methods.tables.data_sources import read_table


def data_project(root: Path) -> Project:
    """Return a project without notebooks in a folder, which becomes the working directory of the caller."""
    (root / "settings.ini").write_text("[mlnb]\ntracker = local\n[pipeline train]\nstages = ingest\n")
    return Project.find(root)


def ingest(project: Project, source: str, minute: int, declarations: Declarations | None = None, **options: Any) -> Run:
    """Return a finished run that has read a source.

    Args:
        project: The project; a relative source is in its folder.
        source: A file, a database or a data set.
        minute: When it started, after 9 o'clock.
        declarations: About columns.
        options: Of `read_table`.
    """
    table, provenance = read_table(source, folder=str(project.root), name=source, **options)
    values = {"raw": table, "provenance": provenance, "declarations": declarations or Declarations()}
    stage = StageRecord(
        state=StageState.FINISHED,
        outputs={name: save_object(project.store, value) for name, value in values.items()},
        parameters={"data": ParameterValue(value=source, origin="--data")},
    )
    run = create_run(project, "train")
    run.record = replace(
        run.record,
        state=RunState.FINISHED,
        started=f"2026-03-14T09:{minute:02}:00.000Z",
        order=("ingest",),
        stages={"ingest": stage},
        pid=os.getpid(),
    )
    run.save()
    set_latest(run)
    return run
