"""`mlnb retrain`: train a challenger on logged production data and compare it with the champion on new rows."""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mlnb.api.several_models import ModelOutcome
from mlnb.cli import run as run_verb
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.cli.arguments import read_request
from mlnb.cli.text_tables import table
from mlnb.codec import to_json
from mlnb.engine.formats import load_object
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.challenge_records import ChallengeResult
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.champion import ORIGIN
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry

CHALLENGER = "challenger"
AWAITING = 13  # exit code when a person has to approve


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb retrain`."""
    p.add_argument("version", nargs="?", default="", help="version to replace (default: the champion)")
    add_filters(p)
    p.add_argument("--policy", choices=("growing", "sliding", "since_last"), default="growing", help="training rows")
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
    if selects_several(args, args.version):
        models = selected_models(registry, args)
        return for_each_model(project, models, lambda one: _retrained(retrain_version(project, registry, one, args)))
    return retrain_version(project, registry, registry.find_or_champion(args.version), args)


def _retrained(code: int) -> ModelOutcome:
    return ModelOutcome({0: "trained", AWAITING: "approval needed"}.get(code, "failed"), code)


def retrain_version(project: Project, registry: Registry, champion: ModelVersion, args: argparse.Namespace) -> int:
    """Run the pipeline `retrain`, register the challenger, and promote it with --promote; return the exit code."""
    run = open_run(project, champion.run)
    labels = label_database(project, champion.model)
    if not labels.exists() and traits_of(run.load("contract", ProblemContract).task).needs_labels:
        raise UsageError(f"{champion.model} has no labels; add them first: `mlnb labels add FILE`.")
    with tempfile.TemporaryDirectory(dir=project.store_root) as folder:
        values = Path(folder) / "values.yaml"
        values.write_text(
            yaml.safe_dump(challenger_parameters(project, run, champion, args.policy), allow_unicode=True)
        )
        arguments = ["retrain", "-f", str(values), *(["--profile", args.profile] if args.profile else [])]
        for name, value in args.parameter:
            arguments += ["-p", name, value]
        inner = argparse.ArgumentParser()
        run_verb.parser(inner)
        options = inner.parse_args(arguments)
        segment = champion.metadata.segment
        request = replace(read_request(options), program=command_words(args, champion), segment=segment)
        code = run_verb.run_request(project, request, options)
    if code:
        return code
    trained = open_run(project)
    result = trained.load("challenge", ChallengeResult)
    print("\n" + _result_text(result))
    challenger = registry.register(trained)
    if challenger.number == champion.number:
        print(f"The challenger is identical to {champion.name}: nothing changes.")
        return 0
    reason = args.reason or f"champion/challenger evaluation of run {trained.id}: {result.decision}"
    if CHALLENGER not in challenger.aliases:
        print(registry.promote(challenger.name, CHALLENGER, reason, force=True).describe())
    if result.decision == "approve":
        command = f"mlnb promote {challenger.name} --reason 'predictions reviewed'"
        print(f"Many predictions change: review them, then run `{command}`")
        return AWAITING
    if result.decision == "promote" and args.promote:
        print(registry.promote(challenger.name, CHAMPION, reason).describe())
    elif result.decision == "promote":
        print(f"It can be promoted: mlnb promote {challenger.name} --reason 'better on new rows'")
    return 0


def command_words(args: argparse.Namespace, champion: ModelVersion) -> tuple[str, ...]:
    """Return the words of the command for one model, without profile and parameters."""
    several = selects_several(args)
    version = champion.name if several else args.version
    words = ["mlnb", "retrain", *([version] if version else []), "--policy", args.policy]
    words += ["--promote"] * args.promote + (["--reason", args.reason] if args.reason else [])
    return tuple(words)


def challenger_parameters(project: Project, run: Run, champion: ModelVersion, policy: str) -> dict[str, dict[str, Any]]:
    """Return the parameters of the pipeline by stage: those of the champion's run, and where its data is.

    Args:
        project: The project.
        run: The champion's run.
        champion: The champion.
        policy: Which rows the challenger is trained on: growing, sliding or since_last.

    Raises:
        UsageError: Logged production data is not of the kind that the champion was trained on.
    """
    from mlnb.methods.metrics.goals import base_name
    from mlnb.methods.tuning.trial_proposals import warm_start_trials

    contract = run.load("contract", ProblemContract)
    if contract.cut:
        raise UsageError(
            f"{champion.name} was trained on a log of interactions, and requests hold candidates, which are no "
            "interactions. Train on the newer log: mlnb run --data FILE, then mlnb compare."
        )
    values: dict[str, dict[str, Any]] = {}
    for stage in project.pipeline("retrain"):
        record = run.stages.get(stage)
        values[stage] = {
            name: parameter.value
            for name, parameter in (record.parameters if record else {}).items()
            if parameter.origin not in (DEFAULT, ORIGIN)
        }
    stated = to_json(contract)
    fields = ("target", "task", "positive", "top", *traits_of(contract.task).details)
    problem = {name: stated[name] for name in fields}
    values["problem"] |= {name: value for name, value in problem.items() if value not in (None, [])}
    values["problem"]["metric"] = base_name(contract.metric)
    if run.output("best") is not None and run.output("trials") is not None:
        values["tune"]["warm"] = warm_start_trials(run.load("best", Candidate), run.load("trials"), champion.name)
    values["collect"] |= {
        "history": _path_of(project, run, "table" if traits_of(contract.task).unit == "history" else "raw"),
        "log": str(log_folder(project, champion.model)),
        "labels": str(labels) if (labels := label_database(project, champion.model)).exists() else "",
        "contract": _path_of(project, run, "contract"),
        "schema": _path_of(project, run, "schema"),
        **({"declarations": _path_of(project, run, "declarations")} if run.output("declarations") else {}),
        "policy": policy,
    }
    selected: dict[str, Any] = values.get("split", {})
    values["collect"] |= {name: selected[name] for name in ("each", "segment") if name in selected}
    service: Path = load_object(project.store, "tree", champion.service)
    values["challenge"] |= {"champion": str(service)}
    return {stage: items for stage, items in values.items() if items}


def _path_of(project: Project, run: Run, artifact: str) -> str:
    digest = run.require_output(artifact).digest
    project.store.fetch([digest])
    return str(project.store.path(digest))


def _result_text(result: ChallengeResult) -> str:
    rows = [[line.check, line.found, line.required, "yes" if line.passed else "NO"] for line in result.lines]
    text = table(["check", "found", "required", "passed"], rows)
    both = f"champion {result.champion:.4g}, challenger {result.challenger:.4g}"
    return f"{text}\n{result.metric} on {result.rows:,} new rows: {both}"
