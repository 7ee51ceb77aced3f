"""`mlnb hold`: add, list or remove a legal hold, which keeps everything from being erased."""

import argparse
import json
import shlex

from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.registry.legal_holds import place_hold, read_holds, remove_hold
from mlnb.reports import formatting


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb hold`."""
    p.add_argument("action", nargs="?", choices=("list", "add", "remove"), default="list", help="default: %(default)s")
    p.add_argument("hold", nargs="?", default="", metavar="REASON|NUMBER", help="add: the reason; remove: the number")
    p.add_argument("--reason", default="", help="remove: the reason for the audit log")
    p.add_argument("--json", action="store_true", help="list: print JSON lines")
    p.epilog = (
        "examples:\n  mlnb hold add 'lawsuit 12/26: keep all data'\n  mlnb hold\n"
        "  mlnb hold remove 7 --reason 'lawsuit ended'\n\n"
        "While a hold is in force, `mlnb erase --confirm` ends with an error that names it, and `mlnb clean` deletes\n"
        "nothing for a retention setting. Holds are entries of the audit log, signed when you have a key."
    )


def main(args: argparse.Namespace) -> int:
    """Add, list or remove holds; return 0."""
    project = Project.find()
    if args.action == "add":
        entry = place_hold(project, args.hold or args.reason)
        print(f"Hold {entry.number} is in force: {entry.why}. Entry {entry.number} of the audit log, by {entry.who}.")
    elif args.action == "remove":
        if not args.hold.isdecimal():
            raise UsageError(f"Found {args.hold!r}; expected the number of a hold, as `mlnb hold` lists it")
        entry = remove_hold(project, int(args.hold), args.reason)
        print(f"Hold {args.hold} is removed: {entry.why}. Entry {entry.number} of the audit log, by {entry.who}.")
    else:
        if args.hold:
            added = f"mlnb hold add {shlex.quote(args.hold)}"
            raise UsageError(f"`mlnb hold list` takes no {args.hold!r}; `{added}` places a hold.")
        _list(project, args.json)
    return 0


def _list(project: Project, as_json: bool) -> None:
    holds = read_holds(project)
    if as_json:
        for hold in holds:
            print(json.dumps(to_json(hold), ensure_ascii=False))
    elif holds:
        rows = [[str(hold.number), formatting.moment(hold.when), hold.who, hold.reason] for hold in holds]
        print(table(["hold", "since", "by", "reason"], rows, right=("hold",)))
    else:
        print("No legal hold is in force.")
