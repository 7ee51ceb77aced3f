"""Commands for all models of a project, or those that filters select: one after the other, each failure isolated."""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlnb.cli.arguments import not_empty
from mlnb.cli.text_tables import shorten, table
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, UsageError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry
from mlnb.reports import formatting

FIRST_RESULT = 10  # exit codes from here on are results, such as `retrain`; those below are failures
WIDEST_NOTE = 120  # characters
FILTERS = (
    "--all, --name and --segment select several models; patterns are those of a shell. A failed model leaves the\n"
    "others: a table ends the command, and the exit code is that of the worst failure, or else the highest result."
)


@dataclass(frozen=True)
class ModelOutcome:
    """What a command did for one model.

    Attributes:
        result: in a word or two.
        code: exit code.
        note: more about it, such as the message of an error.
    """

    result: str
    code: int = 0
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the code is that of a failure rather than of a result."""
        return 0 < self.code < FIRST_RESULT


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


def selected(versions: Sequence[ModelVersion], args: argparse.Namespace) -> list[ModelVersion]:
    """Return the versions whose model the filters select."""
    return [
        version
        for version in versions
        if (not args.name or fnmatchcase(version.model, args.name))
        and (not args.segment or fnmatchcase(version.metadata.segment, args.segment))
    ]


def selected_models(registry: Registry, args: argparse.Namespace, alias: str = CHAMPION) -> list[ModelVersion]:
    """Return one version of each selected model: the one with the alias, or the newest.

    Args:
        registry: The registry.
        args: The options of `add_filters`.
        alias: The alias; empty: the newest version in any case.

    Raises:
        UsageError: No model is selected.
    """
    versions = registry.versions()
    chosen: dict[str, ModelVersion] = {}
    for version in selected(versions, args):
        before = chosen.get(version.model)
        if before is None or alias not in before.aliases:
            chosen[version.model] = version
    if not chosen:
        names = sorted({version.model for version in versions})
        raise UsageError(f"No model is selected; there is {', '.join(names[:10]) or 'none'}. `mlnb models` lists all.")
    return list(chosen.values())


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
        missing = needs_run and not (project.runs / version.run).is_dir()
        outcome = _skipped(version) if missing else _outcome(version, action)
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


def _skipped(version: ModelVersion) -> ModelOutcome:
    return ModelOutcome("skipped", note=f"its run {version.run} is not in this project")


def _outcome(version: ModelVersion, action: Callable[[ModelVersion], ModelOutcome]) -> ModelOutcome:
    """Return what an action did for a model; an error is an outcome, so that the others follow."""
    try:
        return action(version)
    except MlnbError as error:
        return ModelOutcome("failed", error.exit_code, str(error))
    except Exception as error:  # noqa: BLE001 -- one model must not stop those after it
        warnings.warn(f"{version.name}: {error!r}", RuntimeWarning, stacklevel=2)
        return ModelOutcome("failed", 1, repr(error))
