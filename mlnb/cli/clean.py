"""`mlnb clean`: removes from the store what no run needs; `--runs KEEP` removes old runs first."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from mlnb.engine import runs
from mlnb.engine.files import read_json
from mlnb.engine.project import Project
from mlnb.errors import ProjectError
from mlnb.executors import kept_snapshots as states
from mlnb.registry.registry import Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb clean`."""
    p.add_argument("--runs", type=int, metavar="KEEP", help="keep only so many of the newest runs")
    p.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    p.epilog = (
        "examples:\n  mlnb clean --dry-run\n  mlnb clean --runs 20     the newest 20 runs and all they need stay\n"
    )


def main(args: argparse.Namespace) -> int:
    """Remove runs beyond those to keep, then every object that no run that is left refers to."""
    project = Project.find()
    kept = runs.list_runs(project)
    going = [run.id for run in kept if run.state == "running"]
    if going:
        raise ProjectError(f"Run {going[0]} is going on in this project; nothing was removed. Wait for its end.")
    goners: list[Path] = []
    if args.runs is not None:
        goners += [run.folder for run in kept[max(args.runs, 0) :]]
        kept = kept[: max(args.runs, 0)]
    keys = {stage["key"] for run in kept for stage in run.record["stages"].values()}
    entries = {path.stem: read_json(path) for path in (project.store_root / "keys").glob("*.json")}
    goners += [project.store_root / "keys" / f"{key}.json" for key in entries if key not in keys]
    needed = needed_objects(project, [entry for key, entry in entries.items() if key in keys and entry])
    needed |= drafted_objects(project) | registered_objects(project)
    objects = project.store_root / "objects"
    goners += [path for path in objects.glob("*/*") if path.parent.name + path.name not in needed]
    goners += [path for path in (project.store_root / "trees").glob("*") if path.name not in needed]
    resumable = {key[:32] for key in keys - entries.keys() if key}  # stages that have not ended well may go on
    goners += [path for path in (project.store_root / "scratch").glob("*") if path.name not in resumable]
    size = sum(part.stat().st_size for path in goners for part in [path, *path.rglob("*")] if part.is_file())
    if not args.dry_run:
        states.drop(project)  # what a stage had saved by then may go
        for path in goners:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    print(f"{'would remove' if args.dry_run else 'removed'} {len(goners)} entries, {size / 1e6:.1f} MB")
    return 0


def needed_objects(project: Project, records: list[dict[str, Any]]) -> set[str]:
    """Return the digests that records of stages refer to: outputs, the files of trees, executed notebooks."""
    needed: set[str] = set()
    for record in records:
        needed |= {record["notebook"]} if "notebook" in record else set()
        for output in record["outputs"].values():
            needed.add(output["digest"])
            if output["format"] == "tree" and project.store.intact(output["digest"]):
                needed |= set(json.loads(project.store.read(output["digest"])).values())
    return needed


def registered_objects(project: Project) -> set[str]:
    """Return the digests of what registered versions are served from and compared by."""
    if not project.settings["registry"] and not (project.store_root / "registry.db").exists():
        return set()
    facts = [version.facts for version in Registry(project).versions()]
    records = [{"outputs": {"service": found["service"]}} for found in facts]
    return needed_objects(project, records) | {found["predictions"] for found in facts if found["predictions"]}


def drafted_objects(project: Project) -> set[str]:
    """Return the digests that drafts and stages run by hand refer to: a person may still be at work on them."""
    paths = [*(project.runs / runs.DRAFT).glob("*.json"), *project.runs.glob("*/hand/*.json")]
    return needed_objects(project, [record for path in paths if (record := read_json(path)) and "outputs" in record])
