"""`mlnb audit`: show or verify the log of every change to the registry."""

import argparse
import json
import sys

from mlnb.cli.text_tables import shorten, table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.errors import RegistryError
from mlnb.registry.audit_log import Entry
from mlnb.registry.database import database_url, lost_registry
from mlnb.registry.known_head import registry_exists
from mlnb.registry.registry import Registry
from mlnb.reports import formatting

ALTERED = 1  # exit code of a log that was altered


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb audit`."""
    p.add_argument("action", nargs="?", choices=("show", "verify"), default="show", help="default: %(default)s")
    p.add_argument("--head", default="", metavar="DIGEST", help="verify: the head of the log as noted earlier")
    p.add_argument("--json", action="store_true", help="print JSON lines")
    p.epilog = (
        "examples:\n  mlnb audit\n  mlnb audit verify\n  mlnb audit verify --head 3f9a…\n\n"
        "Each entry has the digest of the previous one. `verify` prints the head: note it, and verify later that no\n"
        "entry before it was altered, removed or moved, even by somebody with write access to the database.\n\n"
        "exit codes: 0 unaltered, 1 altered"
    )


def main(args: argparse.Namespace) -> int:
    """Show the log, or verify it; return 1 when it was altered, else 0."""
    project = Project.find()
    registry = Registry(project)
    if args.head and not registry_exists(project):
        raise RegistryError(lost_registry(database_url(project)))
    if args.action == "show":
        log = registry.log()
        if args.json:
            for entry in log:
                print(json.dumps(to_json(entry) | {"digest": entry.digest}, ensure_ascii=False))
        elif not log:
            print("The log is empty: no version is registered.")
        else:
            print(_listing(log))
        return 0
    faults, count, head = registry.verify(args.head)
    if args.json:
        print(json.dumps({"verified": not faults, "entries": count, "head": head, "faults": faults}))
    elif faults:
        print(f"The audit log was altered, {formatting.count(len(faults), 'fault')}:", file=sys.stderr)
        print("\n".join(f"  {fault}" for fault in faults), file=sys.stderr)
    else:
        entries = formatting.count(count, "entry", "entries")
        print(f"{entries}, unaltered; the registry agrees with them.\nhead {head}")
    return ALTERED if faults else 0


def _listing(log: list[Entry]) -> str:
    rows = []
    for entry in log:
        moved = f"{entry.alias}: {entry.before or '–'} → {entry.version}" if entry.alias else ""
        when = formatting.moment(entry.when).replace(" UTC", "")
        rows.append(
            [
                str(entry.number),
                when,
                entry.who,
                entry.what,
                entry.subject,
                moved,
                shorten(entry.why),
                entry.digest[:12],
            ]
        )
    heads = ["#", "time (UTC)", "actor", "change", "version", "alias", "reason", "digest"]
    return table(heads, rows, right=("#",), optional=("digest",))
