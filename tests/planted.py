"""Runs whose records and artifacts are written directly, as an attacker or a damaged disk would leave them."""

import json
import os
from pathlib import Path
from typing import Any

from mlnb.codec import replace
from mlnb.engine.digests import digest_bytes
from mlnb.engine.project import Project
from mlnb.engine.run_records import OutputRecord, RunState, StageRecord, StageState
from mlnb.engine.runs import Run, create_run, set_latest

SETTINGS = "[mlnb]\ntracker = local\n[pipeline train]\nstages = tune\n"


class Bomb:
    """An object whose pickle creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


def plant_project(root: Path) -> Project:
    """Return an empty project."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "settings.ini").write_text(SETTINGS)
    return Project.find(root)


def plant_object(project: Project, data: bytes) -> str:
    """Store bytes; return their digest."""
    return project.store.put_bytes(data)


def plant_run(project: Project, outputs: dict[str, OutputRecord], **stage: Any) -> Run:
    """Return a finished run with one stage, `tune`, that has these artifacts."""
    run = create_run(project, "train")
    record = StageRecord(**{"state": StageState.FINISHED, "outputs": outputs, "key": "0" * 64, **stage})
    run.record = replace(run.record, state=RunState.FINISHED, order=("tune",), stages={"tune": record})
    run.save()
    set_latest(run)
    return run


def output(digest: str, kind: str = "json", size: int = 1) -> OutputRecord:
    """Return the record of an artifact."""
    return OutputRecord(digest=digest, format=kind, bytes=size, description="planted")


def plant_tree(project: Project, listing: dict[str, str]) -> OutputRecord:
    """Store the list of files of a tree as it is given."""
    return output(plant_object(project, json.dumps(listing).encode()), "tree")


def unknown_digest() -> str:
    """Return a digest that no object has."""
    return digest_bytes(os.urandom(16))
