"""`mlnb erase`: list every location of the rows of a person; with `--confirm`, erase them."""

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.files import relative_name
from mlnb.engine.project import Project
from mlnb.engine.project_lock import lock_project, pending_journals
from mlnb.engine.tombstones import Erasure
from mlnb.erasure.conditions import read_selection
from mlnb.erasure.erasure_journal import erase, resume
from mlnb.erasure.erasure_plan import ErasurePlan, plan_erasure
from mlnb.erasure.file_search import Action
from mlnb.erasure.restored_rows import DVC_CACHE
from mlnb.errors import ProjectError, UsageError
from mlnb.executors import live_snapshots
from mlnb.registry.legal_holds import read_holds, refuse_held
from mlnb.reports.formatting import count

REMAINING = 1  # exit code: restored files have the rows still


class Line(NamedTuple):
    """A line of the table: where, what it is, the number of selected rows if known, and what becomes of it."""

    where: str
    what: str
    rows: int | None
    action: str


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb erase`."""
    p.add_argument("--where", action="append", default=[], metavar="CONDITION", help="column = value, joined by and")
    p.add_argument("--values", type=Path, metavar="FILE", help="CSV file with columns of the data, a line a person")
    p.add_argument("--confirm", action="store_true", help="erase; without it nothing is changed")
    p.add_argument("--reason", default="", help="reason for the audit log; needed with --confirm")
    p.add_argument("--resume", action="store_true", help="finish an erasure that was interrupted")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = (
        "examples:\n  mlnb erase --where 'id = 42'                             list every location\n"
        "  mlnb erase --where 'id = 42' --confirm --reason 'request of 3 May'\n"
        "  mlnb erase --where 'mail = \"ann@example.org\" and born = 1990-01-31'\n"
        "  mlnb erase --where 'id = 42' --where 'id = 43'           the rows of either\n"
        "  mlnb erase --values people.csv --confirm --reason 'requests of May'\n\n"
        "Searched are artifacts, run folders with notebooks and pages, drafts, prediction logs, labels, W&B files,\n"
        "bentos and caches, in all encodings. Tables with the rows, what was made of them row by row, and files that\n"
        "have a value that only these rows have are deleted; logs and labels are written again without the rows;\n"
        "outputs of notebooks that may show them are removed. `mlnb verify` then reports `erased`, with when, who\n"
        "and why; the values of the conditions are recorded nowhere. Your own files, such as the data file, are\n"
        "listed and never changed: remove the rows there first. Files of `mlnb data restore`, also outside of the\n"
        "project, and their copies in the cache of DVC are deleted while they are as they were written; those that\n"
        "were changed or moved since, or that runs read, are listed. Versions that were trained on the rows are\n"
        "marked for retraining (`mlnb models`). A legal hold (`mlnb hold`) blocks --confirm. An interruption loses\n"
        "nothing: --resume goes on.\n\n"
        "Not searched are git's history, copies elsewhere and runs that were uploaded to W&B or MLflow.\n\n"
        "exit codes: 0 success; 1 erased, but restored files that are listed may have the rows still; 2 usage error"
    )


def main(args: argparse.Namespace) -> int:
    """List the locations of the rows, or erase them; return the exit code."""
    project = Project.find()
    if args.resume:
        if args.where or args.values or args.confirm:
            raise UsageError("--resume finishes the erasure that was interrupted; give no conditions with it.")
        with lock_project(project):
            done = resume(project)
        print("\n".join(map(_erased_text, done)) or "No erasure was interrupted.")
        return 0
    if pending_journals(project):
        raise ProjectError("An erasure was interrupted; `mlnb erase --resume` finishes it, then run again.")
    if args.confirm and not args.reason.strip():
        raise UsageError("A reason is needed for the audit log; add --reason 'request of 3 May'")
    selection = read_selection(project, args.where, args.values)
    if not args.confirm:
        _print_plan(project, plan_erasure(project, selection), args.json)
        return 0
    refuse_held(project)
    with lock_project(project):
        plan = plan_erasure(project, selection)
        if not plan.changes:
            _print_plan(project, plan, args.json)
            return _exit_code(plan)
        live_snapshots.drop_all(project)  # their memory may have the rows
        erasure = erase(project, plan, args.reason.strip())
    if args.json:
        print(json.dumps(to_json(erasure), ensure_ascii=False, indent=1))
    else:
        print(_erased_text(erasure))
    print("\n".join(_by_hand(project, plan, erased=True)), file=sys.stderr if args.json else sys.stdout)
    return _exit_code(plan)


def _exit_code(plan: ErasurePlan) -> int:
    return REMAINING if plan.restored or plan.moved else 0


def _print_plan(project: Project, plan: ErasurePlan, as_json: bool) -> None:
    lines = [*_lines(project, plan)]
    if as_json:
        values = {
            "notes": [*plan.selection.notes],
            "rows": plan.rows,
            "locations": [line._asdict() for line in lines],
            "sources": plan.sources,
            "restored": [relative_name(path, project.root) for path in (*plan.restored, *plan.moved)],
            "retrain": plan.versions,
            "unservable": plan.unservable,
        }
        print(json.dumps(values, ensure_ascii=False, indent=1))
        return
    for note in plan.selection.notes:
        print(note)
    if not lines:
        print("No location has these rows.")
        return
    shown = [
        [line.where, line.what, "" if line.rows is None else str(line.rows), line.action] for line in _grouped(lines)
    ]
    print(table(["location", "what", "rows", "with --confirm"], shown, right=("rows",)))
    print(f"\n{count(len(lines), 'location')} with selected rows; nothing was changed.")
    if retrained := [name for name in plan.trained if name not in plan.unservable]:
        print(f"Trained on them, to be marked for retraining: {', '.join(retrained)}.")
    if plan.unservable:
        print(f"The service has values of them: {', '.join(plan.unservable)} could no longer be served. Retrain first.")
    for hold in read_holds(project):
        print(f"Legal hold {hold.number} by {hold.who} ({hold.reason}): --confirm is refused.")
    print("\n".join(_by_hand(project, plan)))


def _lines(project: Project, plan: ErasurePlan) -> Iterator[Line]:
    """Yield a line per location: objects by the runs that have made them, one line for each name."""
    stored = plan.stored
    for digest in sorted(stored.objects, key=lambda each: stored.names.get(each, ["~"])):
        names = stored.names.get(digest, [])
        what = "table" if digest in stored.tables else "row by row" if digest in stored.derived else "values"
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield Line(
            names[0] + more if names else f"object {digest[:12]}", what, stored.tables.get(digest), Action.DELETE
        )
    for location in plan.files:
        yield Line(relative_name(location.path, project.root), location.what, None, location.action)
    for model in plan.production:
        for segment in model.segments:
            what = "open segment" if segment.is_open else "prediction log"
            yield Line(relative_name(segment.path, project.root), what, int(segment.matches.sum()), Action.REWRITE)
        if model.events:
            yield Line(relative_name(model.database, project.root), "labels", len(model.events), Action.REWRITE)


def _grouped(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield notebooks and pages of a folder as one line."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        folder = str(Path(line.where).parent) if line.what in ("notebook", "page") and "/" in line.where else line.where
        groups.setdefault((folder, line.what, line.action), []).append(line)
    for (folder, _, _), members in groups.items():
        yield members[0] if len(members) == 1 else members[0]._replace(where=f"{folder}: {len(members)} files")


def _by_hand(project: Project, plan: ErasurePlan, erased: bool = False) -> Iterator[str]:
    """Yield what is left to the user."""
    own = [os.path.abspath(each.path) for each in plan.files if each.action == Action.BY_HAND]
    names = list(dict.fromkeys([*own, *plan.sources]))
    if names:
        yield f"Remove the rows yourself from {', '.join(names)}, then run `mlnb run`, which trains without them."
    for path in plan.moved:
        yield (
            f"{path} was restored with the rows and is not there now: if it was moved or copied, remove the rows "
            "from the other file."
        )
    if any(DVC_CACHE in location.what for location in plan.files):
        yield "The cache of DVC has the rows: if they were pushed (`dvc push`), delete them from its remote, too."
    if erased and plan.stored.objects:
        yield (
            "Services that are running keep in memory what they have loaded: restart `mlnb serve`, containers and "
            "other deployments of the project's models."
        )
    if project.settings.wandb_mode == "online" and plan.changes:
        yield "Runs were uploaded to W&B: delete their files there, too."


def _erased_text(erasure: Erasure) -> str:
    parts = [count(len(erasure.objects), "object"), count(len(erasure.files), "file")]
    text = f"Erased: {' and '.join(parts)}; erasure {erasure.id}. `mlnb verify all` reports them as erased."
    if erasure.versions:
        text += f"\nMarked for retraining: {', '.join(erasure.versions)}."
    if erasure.unservable:
        names = ", ".join(erasure.unservable)
        text += f"\nNo longer served by `mlnb serve`, as the service had values of the rows: {names}."
    return text
