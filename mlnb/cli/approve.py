"""`mlnb approve`: a person stands for a version."""

import argparse

from mlnb.cli.audit import said
from mlnb.engine.project import Project
from mlnb.registry.registry import Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb approve`."""
    p.add_argument("version", help="model:3, model@challenger, @challenger, or 3 where there is one model alone")
    p.add_argument("--why", default="", help="what was looked at, for the audit log (required)")
    p.epilog = (
        "examples:\n  mlnb approve 3 --why 'report read, slices looked at'\n\n"
        "[mlnb] approvals in settings.ini says how many people have to approve before a version can be promoted."
    )


def main(args: argparse.Namespace) -> int:
    """Record the approval and say so."""
    registry = Registry(Project.find())
    registry.sync()
    print(said(registry.approve(args.version, args.why)))
    return 0
