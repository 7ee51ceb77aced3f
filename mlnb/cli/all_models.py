"""Commands for all models of a project, or those that filters select: one after the other, each failure isolated."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from mlnb.api.several_models import ModelFilter, ModelOutcome, act_on, select_models
from mlnb.cli.arguments import not_empty
from mlnb.cli.text_tables import shorten, table
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry
from mlnb.reports import formatting

WIDEST_NOTE = 120  # characters
FILTERS = (
    "--all, --name and --segment select several models; patterns are those of a shell. A failed model leaves the\n"
    "others: a table ends the command, and the exit code is that of the worst failure, or else the highest result."
)


def add_filters(p: argparse.ArgumentParser, all_models: bool = True, name: str = "--name") -> None:
    """Add the options that select several models.

    Args:
        p: Of a command.
        all_models: Whether there is an option for all of them.
        name: Option with the pattern of names.
    """
    if all_models:
        p.add_argument("--all", action="store_true", help="for all models of the project")
    p.add_argument(
        name,
        dest="name",
        type=not_empty,
        metavar="PATTERN",
        help="for the models of that name, such as 'churn*'",
    )
    p.add_argument(
        "--segment", type=not_empty, metavar="PATTERN", help="for the models of that segment, such as Berlin"
    )


def selects_several(args: argparse.Namespace, version: str = "") -> bool:
    """Return whether options select several models. Raises `UsageError` when a version is named, too."""
    several = bool(getattr(args, "all", False) or args.name or args.segment)
    if several and version:
        raise UsageError(f"{version!r} names one version, and --all, --name or --segment select several; state one.")
    return several


def read_filter(args: argparse.Namespace) -> ModelFilter:
    """Return what the options of `add_filters` select."""
    return ModelFilter(args.name or "", args.segment or "")


def selected_models(registry: Registry, args: argparse.Namespace, alias: str = CHAMPION) -> list[ModelVersion]:
    """Return one version of each model that the options of `add_filters` select, as `select_models` does."""
    return select_models(registry, read_filter(args), alias)


def for_each_model(
    project: Project,
    models: Sequence[ModelVersion],
    action: Callable[[ModelVersion], ModelOutcome],
    as_json: bool = False,
    needs_run: bool = True,
) -> int:
    """Run an action for each model, print a table of the outcomes, and return the exit code.

    Args:
        project: The project.
        models: A version of each model.
        action: Returns what it did.
        as_json: Whether standard output is for JSON alone.
        needs_run: Whether models whose run is not in this project are skipped: a registry may be shared.
    """
    output = sys.stderr if as_json else sys.stdout
    outcomes: list[ModelOutcome] = []
    rows: list[list[str]] = []
    for number, version in enumerate(models, 1):
        print(f"\n{number} of {len(models)}: {version.name}", file=output, flush=True)
        start = time.monotonic()
        outcome = act_on(project, version, action, needs_run)
        outcomes.append(outcome)
        row = [version.name, version.metadata.segment, outcome.result, str(outcome.code)]
        note = "" if outcome.failed else shorten(outcome.note, WIDEST_NOTE)  # errors are below the table in full
        rows.append([*row, formatting.seconds(time.monotonic() - start), note])
    heads = ["model", "segment", "result", "code", "seconds", "note"]
    if not any(row[1] for row in rows):
        heads, rows = [head for head in heads if head != "segment"], [[row[0], *row[2:]] for row in rows]
    print("\n" + table(heads, rows, right=("code", "seconds"), optional=("note",)), file=output)
    for version, outcome in zip(models, outcomes, strict=True):
        if outcome.failed and outcome.note:
            print(f"  {version.name}: {outcome.note}", file=output)
    codes = [outcome.code for outcome in outcomes]
    return max([outcome.code for outcome in outcomes if outcome.failed], default=0) or max(codes)
