"""`mlnb rollback`: the version before is in charge again."""

import argparse

from mlnb.cli.audit import said
from mlnb.engine.project import Project
from mlnb.registry.registry import CHAMPION, Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb rollback`."""
    p.add_argument("model", nargs="?", default="", help="the model's name, where there are several")
    p.add_argument("--alias", default=CHAMPION, help="the alias that goes back (default: %(default)s)")
    p.add_argument("--why", default="", help="the reason, for the audit log (required)")
    p.epilog = "examples:\n  mlnb rollback --why 'complaints since noon'\n  mlnb rollback churn --why 'drift'"


def main(args: argparse.Namespace) -> int:
    """Move the alias back and say so."""
    print(said(Registry(Project.find()).rollback(args.model, args.alias, args.why)))
    return 0
