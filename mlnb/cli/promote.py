"""`mlnb promote`: a version is put in charge."""

import argparse

from mlnb.cli.audit import said
from mlnb.engine.project import Project
from mlnb.registry.registry import CHAMPION, Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb promote`."""
    p.add_argument("version", help="model:3, model@challenger, @challenger, or 3 where there is one model alone")
    p.add_argument("--as", dest="alias", default=CHAMPION, metavar="ALIAS", help="the alias (default: %(default)s)")
    p.add_argument("--why", default="", help="the reason, for the audit log (required)")
    p.add_argument("--force", action="store_true", help="although its gate failed or approvals lack; that is logged")
    p.epilog = (
        "examples:\n  mlnb promote 3 --why 'better on the rows of June'\n"
        "  mlnb promote churn-classifier:4 --as challenger --why 'to be watched beside the champion'\n\n"
        "MLNB_ACTOR in the environment says who promotes; else the user of this machine."
    )


def main(args: argparse.Namespace) -> int:
    """Move the alias and say so."""
    registry = Registry(Project.find())
    registry.sync()
    print(said(registry.promote(args.version, args.alias, args.why, args.force)))
    return 0
