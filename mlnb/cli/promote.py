"""`mlnb promote`: promote a version to champion."""

import argparse

from mlnb.cli.audit import change_text
from mlnb.engine.project import Project
from mlnb.registry.registry import CHAMPION, Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb promote`."""
    p.add_argument("version", help="model:3, model@challenger, @challenger, or 3 when there is one model")
    p.add_argument("--as", dest="alias", default=CHAMPION, metavar="ALIAS", help="alias to move (default: %(default)s)")
    p.add_argument("--reason", default="", help="reason for the audit log (required)")
    p.add_argument("--force", action="store_true", help="promote despite a failed gate or missing approvals; logged")
    p.epilog = (
        "examples:\n  mlnb promote 3 --reason 'better on the rows of June'\n"
        "  mlnb promote churn-classifier:4 --as challenger --reason 'shadow deployment'\n\n"
        "The audit log names MLNB_ACTOR from the environment, or the user of this machine."
    )


def main(args: argparse.Namespace) -> int:
    """Move the alias and print the change; return 0."""
    registry = Registry(Project.find())
    registry.sync()
    print(change_text(registry.promote(args.version, args.alias, args.reason, args.force)))
    return 0
