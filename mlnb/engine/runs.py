"""Runs: a folder each with run.json, the files of its stages and the executed notebooks."""

import os
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, overload

from mlnb.codec import R, decode, encode, replace
from mlnb.engine.confined_names import confined_file, is_confined, is_plain_name
from mlnb.engine.files import (
    PRIVATE,
    PRIVATE_FOLDER,
    make_folder,
    read_json,
    warn_damaged,
    write_json,
    write_whole,
)
from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.engine.run_processes import RunLeases, is_alive, process_start
from mlnb.engine.run_records import OutputRecord, RunRecord, RunState, StageRecord
from mlnb.errors import SchemaError, UnknownRun
from mlnb.suggestions import did_you_mean

DRAFT = "draft"
LATEST = "latest.json"  # in the folder of runs: which run has ended last
SHORTEST = 4  # characters of a start or end of an id


def now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Run:
    """A run and its record, which is immutable: every change replaces it, so that a reader's copy never changes."""

    def __init__(self, project: Project, folder: Path, record: RunRecord) -> None:
        self.project = project
        self.folder = folder
        self.record = record
        self.leases: RunLeases | None = None  # those of the list that the run is in
        self._lock = threading.Lock()

    @property
    def id(self) -> str:
        """The id of the run: the name of its folder."""
        return self.folder.name

    @property
    def state(self) -> RunState:
        """The state of the run; `killed` when it is recorded as running and its process is gone."""
        state = self.record.state
        if state != RunState.RUNNING or is_alive(self.project, self.record, self.leases):
            return state
        return RunState.KILLED

    @property
    def stages(self) -> dict[str, StageRecord]:
        """The records of its stages by name, in the order of execution."""
        return self.record.stages

    def update(self, **changes: Any) -> None:
        """Change fields of the record."""
        with self._lock:
            self.record = replace(self.record, **changes)

    def update_stage(self, name: str, **changes: Any) -> None:
        """Change fields of a stage's record."""
        with self._lock:
            stages = {**self.record.stages, name: replace(self.record.stages[name], **changes)}
            self.record = replace(self.record, stages=stages)

    def snapshot(self) -> "Run":
        """Return this run with its record as it is now."""
        return Run(self.project, self.folder, self.record)

    def save(self) -> None:
        """Write run.json. Raises `StoreFull`."""
        write_whole(self.folder / "run.json", encode(self.record), PRIVATE)

    def output(self, artifact: str) -> OutputRecord | None:
        """Return the record of an artifact; None when no stage of the run made or reused it."""
        return next((stage.outputs[artifact] for stage in self.stages.values() if artifact in stage.outputs), None)

    def require_output(self, artifact: str) -> OutputRecord:
        """Return the record of an artifact. Raises `UnknownRun` when no stage of the run made or reused it."""
        output = self.output(artifact)
        if output is None:
            names = [name for stage in self.stages.values() for name in stage.outputs]
            raise UnknownRun(
                f"Run {self.id} has no artifact {artifact!r}; it has {', '.join(names) or 'none'}."
                + did_you_mean(artifact, names)
            )
        return output

    def has(self, artifact: str) -> bool:
        """Return whether a stage of the run made or reused an artifact."""
        return self.output(artifact) is not None

    @overload
    def load(self, artifact: str) -> Any: ...

    @overload
    def load(self, artifact: str, kind: type[R]) -> R: ...

    def load(self, artifact: str, kind: type[R] | None = None) -> Any:
        """Return an artifact.

        Args:
            artifact: Its name.
            kind: The class of a typed record; None for any other artifact.

        Raises:
            UnknownRun: The run has no artifact of that name.
            StoreCorrupted: Its bytes are missing or damaged.
            SchemaError: A record of another schema or version, or a pickle: only the stages that read one load it.
        """
        output = self.require_output(artifact)
        where = f"artifact {artifact!r} of run {self.id}"
        return load_object(self.project.store, output.format, output.digest, kind, where)

    def notebook_file(self, stage: str) -> Path | None:
        """Return the executed notebook of a stage; None when it has none in the run's folder."""
        return confined_file(self.folder, self.stages[stage].notebook)


def create_run(project: Project, pipeline: str) -> Run:
    """Return a new run in a new folder, also when other processes create runs at the same time."""
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        folder = project.runs / f"{stamp}-{pipeline}-{os.urandom(2).hex()}"
        make_folder(folder.parent)
        try:
            folder.mkdir(PRIVATE_FOLDER)
        except FileExistsError:
            continue
        break
    for name in ("notebooks", "stages"):
        make_folder(folder / name)
    pid = os.getpid()
    record = RunRecord(id=folder.name, pid=pid, pid_started=process_start(pid), started=now(), pipeline=pipeline)
    return Run(project, folder, record)


def read_run(project: Project, folder: Path) -> Run:
    """Return the run in a folder.

    Raises:
        OSError: There is no run.json.
        SchemaError: run.json is damaged, of another schema version, or has a name that leaves the run's folder.
    """
    path = folder / "run.json"
    record = decode(RunRecord, path.read_bytes(), str(path))
    if folder.is_symlink():
        raise SchemaError(f"{folder} is a symbolic link, expected the folder of a run; move the folder itself there.")
    _check_names(record, path)
    stages = {name: record.stages[name] for name in record.order}  # the file has them in alphabetical order
    return Run(project, folder, replace(record, stages=stages))


def _check_names(record: RunRecord, path: Path) -> None:
    """Raise `SchemaError` when a run's record lacks a stage, or has a name that would leave a folder."""
    missing = [name for name in record.order if name not in record.stages]
    if missing:
        raise SchemaError(f"{path} is damaged: it has no record of stage {missing[0]!r}.")
    names = [*record.stages, *(artifact for stage in record.stages.values() for artifact in stage.outputs)]
    wrong = [name for name in names if not is_plain_name(name)]
    stages = record.stages.values()
    paths = [stage.notebook for stage in stages] + [stage.error.notebook for stage in stages if stage.error]
    wrong += [name for name in paths if name is not None and not is_confined(name)]
    if wrong:
        raise SchemaError(f"{path} has the name {wrong[0][:80]!r}, which leaves the run's folder; do not use this run.")


def list_runs(project: Project) -> list[Run]:
    """Return all runs, newest first; those without a readable run.json are left out, with a warning for each."""
    runs, problems = read_runs(project)
    for message in problems:
        warn_damaged(f"{message} The run is left out.")
    return runs


def read_runs(project: Project, read: Callable[[Project, Path], Run] = read_run) -> tuple[list[Run], list[str]]:
    """Return all runs, newest first, and one message for each run whose run.json is damaged or missing.

    `read` returns the run in a folder, such as from a cache.
    """
    runs, problems, leases = list[Run](), list[str](), RunLeases(project)
    for folder in project.runs.glob("*-*") if project.runs.is_dir() else ():
        try:
            runs.append(read(project, folder))
        except SchemaError as error:
            problems.append(str(error))
        except OSError as error:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                problems.append(f"{folder / 'run.json'} cannot be read: {error.strerror}.")
            elif any((folder / name).is_dir() and any((folder / name).iterdir()) for name in ("notebooks", "stages")):
                problems.append(f"{folder / 'run.json'} is missing.")  # not a run that was killed as it started
    for run in runs:
        run.leases = leases  # a query for each run would take the time of the network for each
    return sorted(runs, key=lambda run: (run.record.started, run.id), reverse=True), sorted(problems)


def open_run(project: Project, reference: str = "latest") -> Run:
    """Return a run.

    Args:
        project: The project.
        reference: An id, a unique start or end of one with at least SHORTEST characters, or "latest".

    Raises:
        UnknownRun: No run, or more than one, has that id.
        SchemaError: Its run.json is damaged or of another schema version.
    """
    run = open_exact(project, reference)
    if run is not None:
        return run
    if reference == "latest":
        path = project.runs / LATEST
        pointer = read_json(path)
        if pointer is not None and not (isinstance(pointer, dict) and isinstance(pointer.get("id"), str)):
            warn_damaged(f'{path} is damaged: found {str(pointer)[:80]}, expected {{"id": …}}. The newest run is used.')
        elif pointer is not None and (run := open_exact(project, pointer["id"])) is not None:
            return run
    runs = list_runs(project)
    if not runs:
        raise UnknownRun(f"No runs in {project.runs}. Start one: `mlnb run`.")
    if reference == "latest":
        return runs[0]
    ends = [run for run in runs if run.id.startswith(reference) or run.id.endswith(reference)]
    matches = ends if len(reference) >= SHORTEST else []
    if len(matches) != 1:
        ids = [run.id for run in runs]
        count = f"{len(matches)} runs match" if matches else "No run is called"
        hint = did_you_mean(reference, ids)
        raise UnknownRun(f"{count} {reference!r}; the newest is {ids[0]}.{hint} `mlnb runs` lists them.")
    return matches[0]


def open_exact(project: Project, name: str) -> Run | None:
    """Return the run with an id; None when there is none. Raises `SchemaError` when its run.json is damaged."""
    if not is_plain_name(name):
        return None
    try:
        return read_run(project, project.runs / name)
    except OSError:
        return None


def set_latest(run: Run) -> None:
    """Make "latest" refer to a run."""
    path, latest = run.project.runs / LATEST, {"id": run.id}
    if read_json(path) != latest:
        write_json(path, latest, PRIVATE)


def has_run(project: Project) -> bool:
    """Return whether a run of the project has ended."""
    return (project.runs / LATEST).exists()


def latest_output(project: Project, artifact: str) -> tuple[Run, OutputRecord] | None:
    """Return the newest run that has an artifact, and the artifact's record; None when there is none."""
    for run in list_runs(project):
        output = run.output(artifact)
        if output is not None:
            return run, output
    return None


def newest_run_with(project: Project, pipeline: str, artifacts: Iterable[str]) -> Run:
    """Return the newest finished run of a pipeline that has all of the artifacts. Raises `UnknownRun`."""
    artifacts = set(artifacts)
    for run in list_runs(project):
        if run.record.pipeline == pipeline and run.state == RunState.FINISHED and all(map(run.has, artifacts)):
            return run
    raise UnknownRun(
        f"No finished run of pipeline {pipeline!r} has {', '.join(sorted(artifacts))}. Make one: `mlnb run {pipeline}`."
    )


def latest_stage_record(runs: Iterable[Run], stage: str) -> StageRecord | None:
    """Return the newest record of a stage that finished or was reused, from runs in the order newest first."""
    for run in runs:
        record = run.stages.get(stage)
        if record is not None and record.key_inputs is not None and record.state.has_outputs:
            return record
    return None
