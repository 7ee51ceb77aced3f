"""`mlnb upgrade`: the installed version's notebooks, settings and workflow, merged into the project's edited copies."""

import argparse
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mlnb.cli.ci_workflow import WORKFLOW_FILE, project_template
from mlnb.cli.text_tables import table
from mlnb.engine.project_template import TEMPLATE_FILE, find_root, read_template
from mlnb.engine.project_upgrade import SETTINGS, FileUpgrade, UpgradePlan, plan_upgrade, project_folders
from mlnb.engine.three_way import Status
from mlnb.engine.upgrade_journal import apply_changes, complete_changes, pending_folder, previous_files, upgrade_lock
from mlnb.errors import ProjectError
from mlnb.settings import ProcessSettings

EXAMPLES = """examples:
  mlnb upgrade --dry-run    what would change, notebook by notebook
  mlnb upgrade              merge the new version; conflicts become cells tagged `conflict`
  mlnb upgrade --check      for CI: exit code 1 when an upgrade is available

exit codes: 0 done or nothing to do, 1 an upgrade is available (--check) or conflicts are left to resolve,
            2 usage error, such as uncommitted changes in the files to upgrade
"""
COUNTED = (Status.KEPT, Status.UPDATED, Status.ADDED, Status.REMOVED, Status.CONFLICT)
HEADS = ("file", "kept", "updated", "added", "removed", "conflicts")


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb upgrade`."""
    mode = p.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="print what would change, write nothing")
    mode.add_argument("--check", action="store_true", help="exit with 1 when an upgrade is available, write nothing")
    p.add_argument("--force", action="store_true", help="upgrade files with uncommitted changes, too")
    p.epilog = EXAMPLES


def main(args: argparse.Namespace) -> int:
    """Print or apply the upgrade; return its exit code."""
    root = find_root(Path(ProcessSettings().root or Path.cwd()).resolve())
    notebooks, store = project_folders(root)
    if args.dry_run or args.check:
        if pending_folder(root / store).is_dir():
            print("An upgrade was interrupted; `mlnb upgrade` completes it.")
            return 1
        plan = _plan(root)
        if plan.available:
            print(report(plan) if args.dry_run else f"{_versions(plan)} is available: mlnb upgrade --dry-run shows it.")
            return int(args.check)
        print(_up_to_date(plan))
        return 0
    with upgrade_lock(root / store):
        if complete_changes(root, root / store):
            print("Completed the upgrade that was interrupted; `mlnb check` names conflicts that it left.\n")
        plan = _plan(root)
        if not plan.available:
            print(_up_to_date(plan))
            return 0
        upgraded = [notebooks, *map(Path, (SETTINGS, "bentos", WORKFLOW_FILE, TEMPLATE_FILE))]
        dirty = [] if args.force else uncommitted(root, upgraded)
        if dirty:
            raise ProjectError(
                f"Uncommitted changes in {', '.join(dirty[:3])}{f' and {len(dirty) - 3} more' * (len(dirty) > 3)}; "
                "expected none, so that git can undo the upgrade. Commit them, or give --force."
            )
        apply_changes(root, root / store, plan.contents(), [file.delete for file in plan.files if file.delete])
    print(report(plan))
    print(_next_steps(plan, previous_files(store)))
    return int(bool(plan.conflicts))


def _plan(root: Path) -> UpgradePlan:
    base = read_template(root)
    return plan_upgrade(root, base, project_template(base.name, base.library))


def report(plan: UpgradePlan) -> str:
    """Return the upgrade: a line for each file that changes or needs a remark, then notes and conflicts."""
    rows = [_row(file) for file in plan.files if file.data is not None or file.delete or file.note]
    lines = [_versions(plan), "", table(HEADS, rows, right=HEADS[1:])] if rows else [_versions(plan)]
    if notes := [f"  {file.path.as_posix()}: {file.note}" for file in plan.files if file.note]:
        lines += ["", "notes:", *notes]
    if plan.conflicts:
        lines += ["", "conflicts:", *(f"  {conflict}" for conflict in plan.conflicts)]
    return "\n".join(lines)


def _row(file: FileUpgrade) -> list[str]:
    if file.counts:
        numbers = [str(file.counts.get(status, 0)) for status in COUNTED]
    else:
        numbers = ["", "", "", "", str(len(file.conflicts)) if file.data is not None else ""]
    return [file.path.as_posix(), *numbers]


def _versions(plan: UpgradePlan) -> str:
    if plan.base.version == plan.new.version:
        return f"mlnb {plan.new.version} (with changes since the project was made)"
    return f"mlnb {plan.base.version} -> {plan.new.version}"


def _up_to_date(plan: UpgradePlan) -> str:
    return f"Up to date: the project has all that mlnb {plan.new.version} brings."


def _next_steps(plan: UpgradePlan, previous: Path) -> str:
    steps = ["nbdev_export    write the notebooks' functions to the project's package", "mlnb check", "git diff"]
    if any(file.counts for file in plan.files if file.conflicts):
        steps.insert(0, "mlnb lab        resolve the conflicts: keep what you want, delete the cells tagged `conflict`")
    return "\n".join(["", f"The previous files are in {previous}.", "Next:", *(f"  {step}" for step in steps)])


def uncommitted(root: Path, paths: Iterable[Path]) -> list[str]:
    """Return the files among `paths` with uncommitted changes; none outside a git repository."""
    names = [path.as_posix() for path in paths if (root / path).exists()]
    command = ["git", "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames", "--", *names]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line[3:] for line in done.stdout.split("\0") if line] if done.returncode == 0 else []
