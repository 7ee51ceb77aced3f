"""`mlnb approve`: approve a version for promotion."""

import argparse

from mlnb.engine.project import Project
from mlnb.registry.registry import Registry
from mlnb.signing.trusted_keys import keys_path, read_trusted_keys


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb approve`."""
    p.add_argument("version", help="model:3, model@challenger, @challenger, or 3 when there is one model")
    p.add_argument("--reason", default="", help="what was reviewed, for the audit log (required)")
    p.epilog = (
        "examples:\n  mlnb approve 3 --reason 'report and slices reviewed'\n\n"
        "The setting `approvals` is the number of people who must approve a version before it is promoted. Where the\n"
        "project trusts keys (`mlnb keys`), your key has to be trusted with the role approver, and you must not have\n"
        "started the run or registered the version. `mlnb approvals` lists the approvals."
    )


def main(args: argparse.Namespace) -> int:
    """Record the approval and print it; return 0."""
    registry = Registry(Project.find())
    if not read_trusted_keys(keys_path(registry.project)).keys:  # who registers a version may not approve it
        registry.sync()
    print(registry.approve(args.version, args.reason).describe())
    return 0
