"""`mlnb rollback`: restore the previous champion."""

import argparse

from mlnb.engine.project import Project
from mlnb.registry.registry import CHAMPION, Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb rollback`."""
    p.add_argument("model", nargs="?", default="", help="name of the model, when there are several")
    p.add_argument("--alias", default=CHAMPION, help="alias to move back (default: %(default)s)")
    p.add_argument("--reason", default="", help="reason for the audit log (required)")
    p.epilog = "examples:\n  mlnb rollback --reason 'complaints since noon'\n  mlnb rollback churn --reason 'drift'"


def main(args: argparse.Namespace) -> int:
    """Move the alias back and print the change; return 0."""
    print(Registry(Project.find()).rollback(args.model, args.alias, args.reason).describe())
    return 0
