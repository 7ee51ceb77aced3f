"""`mlnb retrain`: train a challenger on logged production data and compare it with the champion on new rows."""

import argparse

from mlnb.api.retraining import AWAITING, POLICIES, RetrainOptions, conclude_retraining, retraining_request
from mlnb.api.several_models import ModelOutcome
from mlnb.cli import run as run_verb
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.methods.contracts.challenge_records import ChallengeResult
from mlnb.registry.audit_log import Entry
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb retrain`."""
    p.add_argument("version", nargs="?", default="", help="version to replace (default: the champion)")
    add_filters(p)
    p.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help="training rows")
    p.add_argument("--promote", action="store_true", help="promote the challenger when it wins")
    p.add_argument("--reason", default="", help="reason for the audit log (default: the result)")
    p.add_argument("--profile", help="profile of settings.ini")
    p.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter"
    )
    p.epilog = (
        "examples:\n  mlnb retrain\n  mlnb retrain --policy sliding -p collect.window 50000 --promote\n"
        "  mlnb retrain --all                      every model; --name 'churn*' and --segment Berlin select\n\n"
        "Problem, metric and parameters are those of the champion's run; -p sets others. The search starts with\n"
        "the champion's best trials; -p tune.warm '{}' starts without. The challenger gets the alias `challenger`.\n"
        "It wins when the confidence interval of its gain on rows new to both models is above zero, its gate\n"
        "passes and it is not slower. When more predictions change than challenge.most_changed, a person must\n"
        "approve: `mlnb promote @challenger`.\n\n"
        f"exit codes: {AWAITING} approval needed; others as for `mlnb run`\n{FILTERS}"
    )


def main(args: argparse.Namespace) -> int:
    """Retrain a version, or that of each selected model; return the exit code."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    options = read_options(args)
    if selects_several(args, args.version):
        models = selected_models(registry, args)
        return for_each_model(project, models, lambda one: retrain_version(project, registry, one, options, one.name))
    version = registry.find_or_champion(args.version)
    return retrain_version(project, registry, version, options, args.version).code


def read_options(args: argparse.Namespace) -> RetrainOptions:
    """Return what the options of the command state."""
    return RetrainOptions(
        policy=args.policy,
        promote=args.promote,
        reason=args.reason,
        profile=args.profile,
        pairs=[(name, text) for name, text in args.parameter],
    )


def retrain_version(
    project: Project, registry: Registry, champion: ModelVersion, options: RetrainOptions, version: str
) -> ModelOutcome:
    """Run the pipeline `retrain`, register the challenger, promote it with --promote, and print what was done.

    Args:
        project: The project.
        registry: The registry.
        champion: The version to replace.
        options: How the challenger is trained.
        version: The version as the command line names it; empty: it names none.
    """
    with retraining_request(project, champion, options, version) as request:
        code = run_verb.run_request(project, request, run_verb.output_options())
    if code:
        return ModelOutcome("failed", code)
    outcome = conclude_retraining(registry, champion, open_run(project), options, _show)
    if outcome.result == "unchanged":
        print(f"The challenger is identical to {champion.name}: nothing changes.")
    elif outcome.code == AWAITING:
        command = f"mlnb promote {outcome.challenger} --reason 'predictions reviewed'"
        print(f"Many predictions change: review them, then run `{command}`")
    elif outcome.evaluation.decision == "promote" and not options.promote:
        print(f"It can be promoted: mlnb promote {outcome.challenger} --reason 'better on new rows'")
    return outcome


def _show(step: ChallengeResult | Entry) -> None:
    print(f"\n{_result_text(step)}" if isinstance(step, ChallengeResult) else step.describe())


def _result_text(result: ChallengeResult) -> str:
    rows = [[line.check, line.found, line.required, "yes" if line.passed else "NO"] for line in result.lines]
    text = table(["check", "found", "required", "passed"], rows)
    both = f"champion {result.champion:.4g}, challenger {result.challenger:.4g}"
    return f"{text}\n{result.metric} on {result.rows:,} new rows: {both}"
