"""Run records: one folder a run with run.json, what each stage said, and the executed notebooks."""

import os
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from mlnb.codec import R
from mlnb.engine.files import read_json, write_json
from mlnb.engine.formats import load_object
from mlnb.engine.parameters import nearest
from mlnb.engine.project import Project
from mlnb.errors import UnknownRun

DRAFT = "draft"


def now() -> str:
    """Return the time as ISO 8601 in UTC, milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Run:
    """A run and its record, `record`, which is runs/<id>/run.json."""

    def __init__(self, project: Project, folder: Path, record: dict[str, Any]) -> None:
        self.project = project
        self.folder = folder
        self.record = record

    @property
    def id(self) -> str:
        """The run's id: its folder's name."""
        return self.folder.name

    @property
    def state(self) -> str:
        """running, finished, failed, interrupted; or killed, when its process is gone without a word."""
        state = str(self.record["state"])
        return "killed" if state == "running" and not _alive(self.record) else state

    def save(self) -> None:
        """Write run.json, whole."""
        write_json(self.folder / "run.json", self.record)

    def output(self, artifact: str) -> dict[str, Any] | None:
        """Return the record of an artifact (digest, format, bytes, description), or None."""
        for stage in self.record["stages"].values():
            found = stage["outputs"].get(artifact)
            if found is not None:
                return dict(found)
        return None

    def has(self, artifact: str) -> bool:
        """Whether the run made, or reused, an artifact."""
        return self.output(artifact) is not None

    @overload
    def load(self, artifact: str) -> Any: ...

    @overload
    def load(self, artifact: str, kind: type[R]) -> R: ...

    def load(self, artifact: str, kind: type[R] | None = None) -> Any:
        """Return an artifact; `kind` is the class of a typed record.

        Raises:
            UnknownRun: the run has no artifact of that name.
            StoreCorrupted: its bytes are damaged.
            SchemaError: a record of another schema or version.
        """
        output = self.output(artifact)
        if output is None:
            names = [name for stage in self.record["stages"].values() for name in stage["outputs"]]
            raise UnknownRun(
                f"Run {self.id} has no artifact {artifact!r}; it has {', '.join(names) or 'none'}."
                + nearest(artifact, names)
            )
        where = f"artifact {artifact!r} of run {self.id}"
        return load_object(self.project.store, output["format"], output["digest"], kind, where)


def _alive(record: dict[str, Any]) -> bool:
    try:
        os.kill(record["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process_start(record["pid"]) == record.get("pid_started")


def process_start(pid: int) -> str | None:
    """Return when a process began, in ticks since boot with the boot's id, so that a number used again is noticed."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return f"{boot}-{stat.rpartition(')')[2].split()[19]}"


def create_run(project: Project, pipeline: str, record: dict[str, Any]) -> Run:
    """Return a new run with a folder of its own, whatever other processes do."""
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        folder = project.runs / f"{stamp}-{pipeline}-{secrets.token_hex(2)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        break
    (folder / "notebooks").mkdir()
    (folder / "stages").mkdir()
    own = {"id": folder.name, "pid": os.getpid(), "pid_started": process_start(os.getpid()), "started": now()}
    run = Run(project, folder, own | record)
    run.save()
    return run


def list_runs(project: Project) -> list[Run]:
    """Return all runs, newest first; a folder without a readable record is left out."""
    found = []
    for folder in sorted(project.runs.glob("*-*"), reverse=True) if project.runs.is_dir() else ():
        record = read_json(folder / "run.json")
        if isinstance(record, dict) and "stages" in record:
            found.append(Run(project, folder, record))
    return sorted(found, key=lambda run: str(run.record["started"]), reverse=True)


def open_run(project: Project, ref: str = "latest") -> Run:
    """Return the run that `ref` names: an id, a unique start or end of one, or "latest". Raises `UnknownRun`."""
    exact = read_json(project.runs / ref / "run.json") if ref and "/" not in ref else None
    if exact is not None:
        return Run(project, project.runs / ref, exact)
    if ref == "latest":
        pointed = read_json(project.runs / "latest.json")
        if isinstance(pointed, dict) and pointed.get("id") not in (None, "latest"):
            record = read_json(project.runs / pointed["id"] / "run.json")
            if record is not None:
                return Run(project, project.runs / pointed["id"], record)
    runs = list_runs(project)
    if not runs:
        raise UnknownRun(f"No runs in {project.runs} yet. Start one: `mlnb run`.")
    if ref == "latest":
        return runs[0]
    matches = [run for run in runs if run.id.startswith(ref) or run.id.endswith(ref)]
    if len(matches) != 1:
        ids = [run.id for run in runs]
        what = f"{len(matches)} runs match" if matches else "No run is called"
        raise UnknownRun(f"{what} {ref!r}; the newest is {ids[0]}." + nearest(ref, ids) + " `mlnb runs` lists them.")
    return matches[0]


def point_latest(run: Run) -> None:
    """Make a run the one that "latest" names."""
    write_json(run.project.runs / "latest.json", {"id": run.id})


def last_output(project: Project, artifact: str, but: str | None = None) -> tuple[Run, dict[str, Any]] | None:
    """Return the newest finished stage's record of an artifact, and its run; None when nobody made it yet."""
    for run in list_runs(project):
        if run.id != but and run.has(artifact):
            return run, run.output(artifact) or {}
    return None


def giver(project: Project, pipeline: str, wanted: Iterable[str]) -> Run:
    """Return the newest finished run of a pipeline that has all wanted artifacts. Raises `UnknownRun`."""
    wanted = set(wanted)
    for run in list_runs(project):
        if run.record["pipeline"] == pipeline and run.state == "finished" and all(map(run.has, wanted)):
            return run
    raise UnknownRun(
        f"No finished run of pipeline {pipeline!r} has {', '.join(sorted(wanted))}. Make one: `mlnb run {pipeline}`."
    )


def last_stage(runs: list[Run], stage: str) -> dict[str, Any] | None:
    """Return the newest record of a stage that finished, among runs given newest first."""
    for run in runs:
        record = run.record["stages"].get(stage)
        if record and record.get("basis") and record["state"] in ("finished", "reused"):
            return dict(record)
    return None
