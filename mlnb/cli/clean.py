"""`mlnb clean`: delete artifacts that no run needs; first old runs, by `--runs KEEP` or a retention setting."""

import argparse
import shutil
import time
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

from mlnb.engine import runs
from mlnb.engine.files import try_lock
from mlnb.engine.interactive_stage import FOLDER as INTERACTIVE
from mlnb.engine.project import Project
from mlnb.engine.project_lock import lock_project
from mlnb.engine.remote_link import FOLDER as REMOTE
from mlnb.engine.run_records import OutputRecord, RunState
from mlnb.engine.runs import Run
from mlnb.engine.stage_files import REPORT, StageReport, read_record
from mlnb.erasure.file_search import EMBEDDINGS
from mlnb.erasure.retention import delete_expired, find_expired
from mlnb.errors import ProjectError, StoreCorrupted, UsageError
from mlnb.executors import live_snapshots
from mlnb.governance.reproduction_project import FOLDER as REPRODUCTIONS
from mlnb.governance.run_manifest import run_archives
from mlnb.registry.known_head import registry_exists
from mlnb.registry.legal_holds import refuse_held
from mlnb.registry.registry import Registry
from mlnb.reports.formatting import count

UNUSED_DAYS = 30  # after which vectors of texts are deleted, which a run can compute again


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb clean`."""
    p.add_argument("--runs", type=int, metavar="KEEP", help="delete all runs but the newest KEEP and the champion's")
    p.add_argument("--dry-run", action="store_true", help="print what would be deleted, delete nothing")
    p.epilog = (
        "examples:\n  mlnb clean --dry-run\n  mlnb clean --runs 20     keep the newest 20 runs and all they need\n\n"
        "Settings: retention_runs_days deletes runs that are older, but not those of versions with an alias;\n"
        "retention_log_days deletes finished segments of the prediction log whose last row is older. Both are\n"
        "recorded in the audit log. A legal hold (`mlnb hold`) blocks both, and --runs. Labels stay: `mlnb erase`\n"
        "removes those of a person. Vectors of embedded texts go when no run has used them for 30 days. Nothing is\n"
        "deleted from the remote store.\n"
    )


def main(args: argparse.Namespace) -> int:
    """Delete runs beyond those to keep, then every object that no remaining run refers to; return 0."""
    if args.runs is not None and args.runs < 0:
        raise UsageError(f"--runs is {args.runs}; expected 0 or more runs to keep. Nothing was deleted.")
    project = Project.find()
    remaining, problems = runs.read_runs(project)
    if problems:
        raise ProjectError(
            f"{problems[0]} Nothing was deleted, as the run may need any artifact: repair the file, or move the "
            "folder of the run out of the project."
        )
    _refuse_running(remaining)
    used = runs_in_use(project)
    expired = find_expired(project, remaining, used)
    if (expired.exists or args.runs is not None) and not args.dry_run:
        refuse_held(project)
    paths: list[Path] = []
    if args.runs is not None:
        old = [run for run in remaining[args.runs :] if run.id not in used]
        paths += [run.folder for run in old if run not in expired.runs]
        remaining = [run for run in remaining if run not in old]
    remaining = [run for run in remaining if run not in expired.runs]
    stages = [stage for run in remaining for stage in run.stages.values()]
    keys = {stage.key for stage in stages}
    files = {path.stem: path for path in (project.store_root / "keys").glob("*.json")}
    paths += [path for key, path in files.items() if key not in keys]
    remembered = project.store_root.glob(f"{REMOTE}/*/stages/*.json")  # what the remote store has, which keeps it
    paths += [path for path in remembered if path.stem not in keys]
    needed = draft_objects(project) | registered_objects(project)
    needed |= needed_objects(project, [output for stage in stages for output in stage.outputs.values()])
    needed |= {digest for run in remaining for digest in run_archives(run)}
    for key in keys & files.keys():
        result = project.store.result(key) if key else None
        if result is not None:
            needed |= {result.notebook} | needed_objects(project, result.outputs.values())
    objects = project.store_root / "objects"
    paths += [path for path in objects.glob("*/*") if path.parent.name + path.name not in needed]
    paths += [path for path in (project.store_root / "trees").glob("*") if path.name not in needed]
    paths += [path for path in (project.store_root / REPRODUCTIONS).glob("*") if not _is_locked(path / "lock")]
    unfinished = {key[:32] for key in keys - files.keys() if key}  # stages that may continue with their scratch folder
    paths += [path for path in (project.store_root / "scratch").glob("*") if path.name not in unfinished]
    paths += [run.folder for run in expired.runs]
    paths += [path for path in (project.store_root / EMBEDDINGS).glob("*") if _is_unused(path)]
    size = sum(part.stat().st_size for path in paths for part in [path, *path.rglob("*")] if part.is_file())
    size += sum(path.stat().st_size for path in expired.segments)
    for line in expired.describe(project):
        print(line)
    if not args.dry_run:
        changes = bool(paths or expired.exists)  # without any, a project may be read-only
        with lock_project(project) if changes else nullcontext():
            _refuse_running(runs.read_runs(project)[0])  # one may have been started since
            live_snapshots.drop_all(project)  # a snapshot may refer to artifacts that are deleted
            delete_expired(project, expired)
            for path in paths:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    entries = count(len(paths) + len(expired.segments), "entry", "entries")
    print(f"{'would delete' if args.dry_run else 'deleted'} {entries}, {size / 1e6:.1f} MB")
    if damaged := len(list((project.store_root / "quarantine").glob("*"))):
        print(f"kept {damaged} damaged entries in {project.store_root / 'quarantine'}; delete them when you are done")
    return 0


def _refuse_running(selected: Iterable[Run]) -> None:
    """Raise `ProjectError` when one of the runs is running."""
    running = [run.id for run in selected if run.state == RunState.RUNNING]
    if running:
        raise ProjectError(f"Run {running[0]} is running; nothing was deleted. Wait until it has ended.")


def needed_objects(project: Project, outputs: Iterable[OutputRecord]) -> set[str]:
    """Return the digests of artifacts, and of the files of folders among them.

    Raises:
        ProjectError: The list of files of a folder is damaged, so that it is not known what the folder needs.
    """
    needed: set[str] = set()
    for output in outputs:
        needed.add(output.digest)
        if output.format != "tree":
            continue
        try:
            needed |= set(project.store.read_listing(output.digest).values())
        except StoreCorrupted as error:
            quarantined = any(
                (project.store_root / "quarantine").glob(f"objects-{output.digest[:2]}-{output.digest[2:]}-*")
            )
            if isinstance(error.__cause__, FileNotFoundError) and not quarantined:
                continue  # deleted by hand: nothing can read its files
            raise ProjectError(
                f"{error} Nothing was deleted, as it is not known which files the folder needs: run it again, or "
                "delete its run and quarantine/ in the store."
            ) from error
    return needed


def _is_unused(path: Path) -> bool:
    """Return whether no run has used the vectors of a file for UNUSED_DAYS."""
    return path.stat().st_mtime < time.time() - UNUSED_DAYS * 86_400


def _is_locked(path: Path) -> bool:
    """Return whether another process holds a lock."""
    with try_lock(path) as held:
        return not held


def runs_in_use(project: Project) -> set[str]:
    """Return the ids of the runs of versions with an alias, such as the champion, which monitoring reads."""
    versions = Registry(project).versions() if registry_exists(project) else []
    return {version.run for version in versions if version.aliases}


def registered_objects(project: Project) -> set[str]:
    """Return the digests of the services of registered versions, and of the predictions that they are compared by."""
    if not registry_exists(project):
        return set()
    needed: set[str] = set()
    for version in Registry(project).versions():
        service = OutputRecord(digest=version.service, format="tree", bytes=0, description="")
        predictions = version.metadata.predictions
        needed |= needed_objects(project, [service]) | ({predictions} if predictions else set())
    return needed


def draft_objects(project: Project) -> set[str]:
    """Return the digests of artifacts of drafts and interactive sessions, which a person may still need."""
    folders = [project.runs / runs.DRAFT, *project.runs.glob(f"*/{INTERACTIVE}")]
    reports = [read_record(StageReport, path) for folder in folders for path in folder.glob(f"*{REPORT}")]
    return needed_objects(project, [output for report in reports if report for output in report.outputs.values()])
