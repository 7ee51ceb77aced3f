"""`mlnb approvals`: who has approved a version, and whether the signature of a trusted key verifies it."""

import argparse
import json

from mlnb.cli.text_tables import shorten, table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.registry.registry import Registry
from mlnb.registry.verified_approvals import Approval, verified_people
from mlnb.reports import formatting

MISSING = 1  # exit code when fewer people than needed have approved verifiably


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb approvals`."""
    p.add_argument("version", nargs="?", default="", help="model:3, @challenger or 3 (default: the champion)")
    p.add_argument("--json", action="store_true", help="print JSON lines")
    p.epilog = (
        "examples:\n  mlnb approvals\n  mlnb approvals churn-classifier:4 --json\n\n"
        "An approval is verified when it names the digests of model card and technical documentation, and is signed\n"
        "with a key that the project trusts with the role approver, that was neither revoked nor expired, and whose\n"
        "owner did not start the run or register the version. Without trusted keys (`mlnb keys`) an approval is a\n"
        "name that anybody can state: it counts, and is not verified.\n\n"
        "exit codes: 0 as many verified approvals as the setting `approvals` requires, 1 fewer"
    )


def main(args: argparse.Namespace) -> int:
    """Print each approval and the number of verified ones; return 1 when more are needed."""
    registry = Registry(Project.find())
    version = registry.find_or_champion(args.version)
    approvals = registry.approvals().get((version.model, version.number), ())
    people, needed = verified_people(approvals), registry.project.settings.approvals
    if args.json:
        for approval in approvals:
            print(json.dumps(to_json(approval), ensure_ascii=False))
    else:
        if approvals:
            heads = ["approver", "verified", "role", "key", "database user", "time (UTC)", "documents", "reason", "#"]
            hidden = [] if any(approval.database_user for approval in approvals) else ["database user"]
            rows = [_row(approval) for approval in approvals]
            shown = [index for index, head in enumerate(heads) if head not in hidden]
            rows = [[row[index] for index in shown] for row in rows]
            print(table([heads[index] for index in shown], rows, right=("#",), optional=("documents", "database user")))
        for approval in approvals:
            if not approval.verified:
                print(f"Entry {approval.entry} by {approval.who} is not verified: {approval.problem}.")
        names = f": {', '.join(people)}" if people else ""
        required = f"; {needed} required" if needed else ""
        print(f"{version.name}: {formatting.count(len(people), 'verified approval')}{names}{required}.")
    return 0 if len(people) >= needed else MISSING


def _row(approval: Approval) -> list[str]:
    when = formatting.moment(approval.when).replace(" UTC", "")
    documents = ", ".join(f"{name} {digest[:8]}" for name, digest in sorted(approval.documents.items()))
    verified = "yes" if approval.verified else "no"
    return [
        approval.who,
        verified,
        approval.role or "–",
        approval.key[:12] or "–",
        approval.database_user,
        when,
        documents,
        shorten(approval.why),
        str(approval.entry),
    ]
