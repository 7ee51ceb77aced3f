"""`mlnb audit`: the log of every change to the registry, and whether it is still what was written."""

import argparse
import dataclasses
import json
import sys

from mlnb.cli.text_tables import brief, table
from mlnb.engine.project import Project
from mlnb.registry.audit_log import Entry
from mlnb.registry.registry import Registry
from mlnb.reports import formatting

BROKEN = 1  # exit code of a log that does not verify


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb audit`."""
    p.add_argument("what", nargs="?", choices=("show", "verify"), default="show", help="default: %(default)s")
    p.add_argument("--head", default="", metavar="DIGEST", help="verify: the head of the log as it was noted once")
    p.add_argument("--json", action="store_true", help="as JSON lines, for machines")
    p.epilog = (
        "examples:\n  mlnb audit\n  mlnb audit verify\n  mlnb audit verify --head 3f9a…\n\n"
        "Each entry holds the digest of the one before. `verify` prints the head: whoever notes it can later tell\n"
        "that nothing before it was altered, taken out or moved, even by somebody who writes to the database.\n"
        "Exit code 0: as it was written, 1: not."
    )


def main(args: argparse.Namespace) -> int:
    """Show the log, or verify it."""
    registry = Registry(Project.find())
    if args.what == "show":
        log = registry.log()
        if args.json:
            for entry in log:
                print(json.dumps(dataclasses.asdict(entry) | {"digest": entry.digest}, ensure_ascii=False))
        elif not log:
            print("The log is empty: nothing was registered yet.")
        else:
            print(_listing(log))
        return 0
    faults, count, head = registry.verify(args.head)
    if args.json:
        print(json.dumps({"verified": not faults, "entries": count, "head": head, "faults": faults}))
    elif faults:
        print(f"The audit log is not what was written, {len(faults)} faults:", file=sys.stderr)
        print("\n".join(f"  {fault}" for fault in faults), file=sys.stderr)
    else:
        print(f"{count} entries, each as it was written, and the registry is what they lead to.\nhead {head}")
    return BROKEN if faults else 0


def said(entry: Entry) -> str:
    """Return one sentence about a change that was just made."""
    before = f", it was version {entry.before}" if entry.before is not None else ""
    where = f" as {entry.alias}{before}" if entry.alias else ""
    return f"{entry.model}:{entry.version} {entry.what}{where}. Entry {entry.number} of the audit log, by {entry.who}."


def _listing(log: list[Entry]) -> str:
    rows = []
    for entry in log:
        moved = f"{entry.alias}: {entry.before or '–'} → {entry.version}" if entry.alias else ""
        when = formatting.moment(entry.when).replace(" UTC", "")
        version = f"{entry.model}:{entry.version}"
        rows.append(
            [str(entry.number), when, entry.who, entry.what, version, moved, brief(entry.why), entry.digest[:12]]
        )
    return table(["#", "when (UTC)", "who", "what", "version", "alias", "why", "digest"], rows, right=("#",))
