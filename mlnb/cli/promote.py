"""`mlnb promote`: promote a version to champion."""

import argparse
from functools import partial

from mlnb.api.several_models import check_promotion, move_alias
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.registry.registry import CHAMPION, Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb promote`."""
    p.add_argument(
        "version", nargs="?", default="", help="model:3, model@challenger, @challenger, or 3 when there is one model"
    )
    add_filters(p)
    p.add_argument("--as", dest="alias", default=CHAMPION, metavar="ALIAS", help="alias to move (default: %(default)s)")
    p.add_argument("--reason", default="", help="reason for the audit log (required)")
    p.add_argument("--force", action="store_true", help="promote despite a failed gate or missing approvals; logged")
    p.epilog = (
        "examples:\n  mlnb promote 3 --reason 'better on the rows of June'\n"
        "  mlnb promote churn-classifier:4 --as challenger --reason 'shadow deployment'\n"
        "  mlnb promote --name 'churn-classifier.*' --reason 'report read'     the newest version of each\n\n"
        f"{FILTERS}\n"
        "The audit log names MLNB_ACTOR from the environment, or the user of this machine."
    )


def main(args: argparse.Namespace) -> int:
    """Move the alias of a version, or of the newest one of each selected model, and print the change; return 0."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    if selects_several(args, args.version):
        check_promotion(args.alias, args.reason)
        models = selected_models(registry, args, alias="")
        action = partial(
            move_alias, registry, alias=args.alias, reason=args.reason, force=args.force, needed_change=False
        )
        return for_each_model(project, models, action, needs_run=False)
    if not args.version:
        raise UsageError("No version is named; expected one such as model:3, or --all, --name or --segment.")
    print(registry.promote(args.version, args.alias, args.reason, args.force).describe())
    return 0
