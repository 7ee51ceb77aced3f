"""`mlnb verify`: verify runs, registry, logs and labels against what was recorded; nothing is changed."""

import argparse
import json
import sys

from mlnb.engine.project import Project
from mlnb.governance.checks import Check, CheckState, passed
from mlnb.governance.project_verification import verify
from mlnb.reports import formatting

FAILED = 1  # exit code when anything is not as it was recorded


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb verify`."""
    p.add_argument("reference", nargs="?", default="latest", help="run, version, latest (default) or all")
    p.add_argument("--strict", action="store_true", help="fail without a trusted signature, and on open points")
    p.add_argument("--problems", action="store_true", help="print only what is not ok")
    p.add_argument("--json", action="store_true", help="print JSON lines")
    p.epilog = (
        "examples:\n  mlnb verify                     the latest run and the audit log\n"
        "  mlnb verify @champion --strict  every part is signed, and no document has open points\n"
        "  mlnb verify all --problems\n\n"
        "Verified are the registry with its audit log, finished segments of prediction logs, labels, and the files,\n"
        "artifacts and code of runs. A line per subject: ok, altered, missing, unsigned, erased (by `mlnb erase`), or\n"
        "stale (the code has changed since the run; of all runs only the latest is compared with the code). Erased\n"
        "subjects pass; unsigned ones do, unless --strict is given or they were made after the project trusted its\n"
        "first key (`mlnb keys`). Each figure of a run's documents is compared with its artifact; with --strict, a\n"
        "document with unanswered questions is open, and fails.\n\n"
        "exit codes: 0 verified, 1 anything else"
    )


def main(args: argparse.Namespace) -> int:
    """Print a line per subject; return 1 when any check has failed, else 0."""
    project = Project.find()
    checks: list[Check] = []
    for check in verify(project, args.reference, args.strict):
        checks.append(check)
        if args.json:
            print(json.dumps({"subject": check.subject, "state": check.state, "detail": check.detail}))
        elif not args.problems or check.state != CheckState.OK:
            print(f"  {check.state:<9} {check.subject}" + f"  ({check.detail})" * bool(check.detail))
    if not args.json:
        print(_summary(checks), file=sys.stdout if passed(checks) else sys.stderr)
    return 0 if passed(checks) else FAILED


def _summary(checks: list[Check]) -> str:
    counts = [(state, sum(check.state == state for check in checks)) for state in CheckState]
    text = ", ".join(f"{number} {state}" for state, number in counts if number)
    return f"{formatting.count(len(checks), 'subject')}: {text or 'nothing to verify'}."
