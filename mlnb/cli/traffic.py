"""`mlnb traffic`: compare a canary or shadow with the champion on matured labels, and promote by the result."""

import argparse
import json
from datetime import UTC, datetime

from mlnb.api.several_models import ModelOutcome
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.challenge_records import TrafficComparison, TrafficDecision, TrafficSide
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry

CODES: dict[TrafficDecision, int] = {"promote": 0, "wait": 10, "withdraw": 12}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb traffic`."""
    p.add_argument("version", nargs="?", default="@challenger", help="canary or shadow (default: %(default)s)")
    add_filters(p)
    p.add_argument("--days", type=float, default=30.0, help="length of the period in days (default: %(default)s)")
    p.add_argument("--label-delay", type=float, default=0.0, metavar="DAYS", help="usual delay of labels")
    p.add_argument("--mature", type=float, default=0.8, help="share of labels that is needed (default: %(default)s)")
    p.add_argument("--least-gain", type=float, default=0.0, help="gain that the interval must exceed")
    p.add_argument("--promote", action="store_true", help="promote the version when the result is promote")
    p.add_argument("--json", action="store_true", help="print the comparison as one JSON object")
    codes = ", ".join(f"{code} {decision}" for decision, code in CODES.items())
    p.epilog = (
        "examples:\n  mlnb traffic\n  mlnb traffic @challenger --days 14 --label-delay 3\n"
        "  mlnb traffic @challenger --days 14 --label-delay 3 --promote\n"
        "  mlnb traffic --all --days 14            the challenger of each model; --name and --segment select\n\n"
        f"exit codes: {codes}\n"
        "The responses of a canary are compared with the champion's to other requests of the same period, those of a\n"
        "shadow with the champion's to the same rows. The interval holds for one comparison at the end of a period\n"
        f"that was chosen in advance: do not compare every day and promote at the first success.\n{FILTERS}"
    )


def main(args: argparse.Namespace) -> int:
    """Compare a version, or that of each selected model, with its champion; return the exit code."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    alias = args.version.removeprefix("@")
    if not selects_several(args, "" if args.version.startswith("@") else args.version):
        return compare_version(project, registry, registry.find(args.version), args).code
    models = [
        version
        for version in selected_models(registry, args, alias)
        if alias in version.aliases and CHAMPION not in version.aliases
    ]
    if not models:
        raise UsageError(f"None of the selected models has a version with the alias {alias} that is not its champion.")
    return for_each_model(project, models, lambda one: compare_version(project, registry, one, args), args.json)


def compare_version(
    project: Project, registry: Registry, challenger: ModelVersion, args: argparse.Namespace
) -> ModelOutcome:
    """Print the comparison and promote the version if requested; return the decision."""
    from mlnb.monitoring.shared_traffic import TrafficOptions, compare_traffic  # imports pandas

    champion = registry.find(f"{challenger.model}@{CHAMPION}")
    if champion.number == challenger.number:
        raise UsageError(f"{challenger.name} is the champion; expected the version of a canary or shadow.")
    log = log_folder(project, champion.model)
    if not log.is_dir():
        raise UsageError(f"{champion.model} has no prediction log in {log}; `mlnb serve` writes one.")
    contract, other = (open_run(project, one.run).load("contract", ProblemContract) for one in (champion, challenger))
    for name in ("task", "target", "classes", "metric"):
        if getattr(contract, name) != getattr(other, name):
            raise UsageError(
                f"The {name} of {champion.name} is {getattr(contract, name)!r}, that of {challenger.name} "
                f"{getattr(other, name)!r}; expected the same."
            )
    options = TrafficOptions(args.days, args.label_delay, args.mature, args.least_gain)
    before, after = (one.metadata.certificate.model for one in (champion, challenger))
    if before == after:
        raise UsageError(f"{champion.name} and {challenger.name} have the same model {before}; expected two models.")
    result = compare_traffic(log, label_database(project, champion.model), contract, before, after, options)
    print(json.dumps(to_json(result), ensure_ascii=False) if args.json else _text(result))
    if args.promote and result.decision == "promote":
        rows = f"{result.champion.rows + result.challenger.rows:,} responses"
        why = f"{result.metric} on matured labels of {rows}: {result.reason}"
        entry = registry.promote(challenger.name, CHAMPION, why)
        if not args.json:
            print(entry.describe())
    return ModelOutcome(result.decision, CODES[result.decision])


def _text(result: TrafficComparison) -> str:
    """Return a comparison as text."""
    heads = ["", "version", "responses", "labeled", result.metric]
    rows = [_row("champion", result.champion), _row("shadow" if result.paired else "canary", result.challenger)]
    since, until = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}" for at in (result.since, result.until))
    return f"{table(heads, rows)}\n\nfrom {since} to {until} UTC\n{result.decision}: {result.reason}"


def _row(name: str, side: TrafficSide) -> list[str]:
    """Return one side as a line of the table."""
    score = "" if side.score is None else f"{side.score:.4g} [{side.low:.4g}, {side.high:.4g}]"
    return [name, side.version, f"{side.rows:,}", f"{side.labeled:.0%}", score]
