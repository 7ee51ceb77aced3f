"""Runs in the remote store: a record of who has run what, and the files of the run's folder as objects."""

import os
from pathlib import Path

from mlnb.engine.confined_names import is_confined, is_plain_name
from mlnb.engine.digests import digest_file
from mlnb.engine.files import delete_folder, make_folder, temporary_path
from mlnb.engine.remote_link import run_path
from mlnb.engine.remote_messages import FindRun, PushRun, SharedRun
from mlnb.engine.run_records import RunRecord
from mlnb.engine.runs import SHORTEST, Run, read_run
from mlnb.engine.test_set_access import record_access, recorded_accesses
from mlnb.errors import SchemaError
from mlnb.remote.entries import RUNS, RunEntry, object_name, plan_name, run_name
from mlnb.remote.pulling import pull_objects
from mlnb.remote.pushing import Pusher
from mlnb.remote.remote_session import RemoteSession

FILES = ("run.json", "manifest.json", "report.html", "notebooks/*.*", "documents/*", "stages/*.json*")


def push_run(session: RemoteSession, pusher: Pusher, request: PushRun) -> None:
    """Push the files of a run, then its entry, then the pointer of its stage keys. Raises `RemoteError`."""
    run = read_run(session.project, session.project.runs / request.id)
    paths = [path for pattern in FILES for path in run.folder.glob(pattern) if path.is_file() and not path.is_symlink()]
    files = {name: digest_file(path) for path in paths if is_confined(name := path.relative_to(run.folder).as_posix())}
    files = {name: digest for name, digest in files.items() if digest not in pusher.erased}
    session.transfer_all(
        lambda name: session.objects.upload(object_name(files[name]), run.folder / name), sorted(files)
    )
    pusher.push_objects({digest for digest in request.objects if session.store.path(digest).exists()})
    entry = RunEntry(run=_describe(session, run, files))
    session.objects.replace(run_name(run.id), session.entries.wrap(entry))
    if request.plan:
        session.objects.replace(plan_name(session.platform, request.plan), run.id.encode())
    session.remember(run_path(session.cache, run.id), session.person.encode())


def _describe(session: RemoteSession, run: Run, files: dict[str, str]) -> SharedRun:
    metrics = {f"{name}.{key}": value for name, stage in run.stages.items() for key, value in stage.metrics.items()}
    return SharedRun(
        id=run.id,
        person=session.person,
        platform=session.platform,
        pipeline=run.record.pipeline,
        state=run.record.state,
        started=run.record.started,
        seconds=run.record.seconds,
        metrics={name: value for name, value in metrics.items() if abs(value) < float("inf")},
        files=files,
    )


def find_runs(session: RemoteSession, request: FindRun) -> list[SharedRun]:
    """Return the runs that a reference may mean; of stage keys, the one that made them. Raises `RemoteError`."""
    if request.plan:
        pointers = session.read_all(plan_name(platform, request.plan) for platform in session.platforms)
        names = [data.decode(errors="replace") for data in pointers if data][:1]
    else:
        names = [request.reference]
    matches = open_runs(session, [name for name in names if is_plain_name(name)])
    if matches or request.plan or len(request.reference) < SHORTEST:
        return matches
    part, ids = request.reference, session.objects.names(RUNS)
    return open_runs(session, [name for name in ids if name.startswith(part) or name.endswith(part)])


def newest_runs(session: RemoteSession, count: int) -> list[SharedRun]:
    """Return the newest runs, which their ids begin with the time of. Raises `RemoteError`."""
    return open_runs(session, sorted(session.objects.names(RUNS), reverse=True)[:count])


def open_runs(session: RemoteSession, names: list[str]) -> list[SharedRun]:
    """Return the runs with these ids, as far as their entries can be used."""
    runs = []
    for name, data in zip(names, session.read_all(map(run_name, names)), strict=True):
        try:
            runs += [session.entries.open_run(data, name)] if data is not None else []
        except SchemaError as error:
            session.warn(f"{str(error).rstrip('.')}. The run is left out.")
    return runs


def pull_run(session: RemoteSession, run: SharedRun) -> dict[str, str]:
    """Write the files of a run into its folder; return the reason for each digest that its record needs.

    Other files that are missing or were erased are left out.
    """
    folder = session.project.runs / run.id
    if folder.exists():
        return {}
    failed = pull_objects(session, tuple(dict.fromkeys(run.files.values())))
    if run.files["run.json"] in failed:
        return failed
    make_folder(folder.parent)
    temporary = temporary_path(folder.parent)
    try:
        for name in ("notebooks", "stages"):
            make_folder(temporary / name)
        for name, digest in run.files.items():
            if digest not in failed:
                make_folder((temporary / name).parent)
                session.store.copy_to(digest, temporary / name)
        record = _read_record(session, temporary, run)
        _move(temporary, folder)
    except SchemaError as error:
        session.warn(str(error))
        return dict.fromkeys(run.files.values(), str(error))
    finally:
        delete_folder(temporary)
    for access in recorded_accesses([record]):  # or they would count as deleted
        record_access(session.store.root, access)
    session.remember(run_path(session.cache, run.id), run.person.encode())
    return {}


def _read_record(session: RemoteSession, folder: Path, run: SharedRun) -> RunRecord:
    """Return the record. Raises `SchemaError` when it is damaged, leaves the folder, or is that of another run."""
    record = read_run(session.project, folder).record
    if record.id != run.id:
        raise SchemaError(f"The remote run {run.id} has the record of {record.id}; it is not used.")
    return record


def _move(source: Path, target: Path) -> None:
    try:
        os.rename(source, target)
    except OSError:  # another process pulled it at the same time
        if not target.is_dir():
            raise
