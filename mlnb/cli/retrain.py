"""`mlnb retrain`: a challenger learns from what the champion met in service, and both are judged on fresh rows."""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import yaml

from mlnb.cli import run as run_verb
from mlnb.cli.audit import said
from mlnb.cli.text_tables import table
from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.registry.champion import ORIGIN
from mlnb.registry.model_versions import Version
from mlnb.registry.registry import CHAMPION, Registry

CHALLENGER = "challenger"
AWAITING = 13  # exit code when a person has to approve
UNLABELLED = ("forecasting", "anomaly")  # tasks that may learn without: later requests bring values, or none are


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb retrain`."""
    p.add_argument("version", nargs="?", default="", help="the version in charge (default: the champion)")
    p.add_argument(
        "--policy", choices=("growing", "sliding", "since_last"), default="growing", help="rows to learn from"
    )
    p.add_argument("--promote", action="store_true", help="put the challenger in charge when the duel says so")
    p.add_argument("--why", default="", help="the reason, for the audit log (default: the duel's own words)")
    p.add_argument("--profile", help="a profile of settings.ini")
    p.add_argument("-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    p.epilog = (
        "examples:\n  mlnb retrain\n  mlnb retrain --policy sliding -p collect.window 50000 --promote\n\n"
        "Problem, metric and every parameter are those of the champion's run; -p states another.\n"
        "The search starts with the champion's best trials; -p tune.warm '{}' starts without.\n"
        "A challenger is registered with the alias `challenger`. It is promoted when its gain on fresh rows, which\n"
        "neither model has seen, is above zero with its whole interval, its gate has passed and it is not slower.\n"
        "When more answers change than challenge.most_changed, a person has to approve:\n"
        f"exit code {AWAITING}, then `mlnb promote @challenger`."
    )


def main(args: argparse.Namespace) -> int:
    """Run the pipeline `retrain`, register the challenger, and promote it when asked to and it has won."""
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    champion = registry.in_charge(args.version)
    run = open_run(project, champion.run)
    labels = label_database(project, champion.model)
    if not labels.exists() and run.load("contract", ProblemContract).task not in UNLABELLED:
        raise UsageError(f"{champion.model} has no labels yet: `mlnb labels add FILE` brings them, then retrain.")
    with tempfile.TemporaryDirectory(dir=project.store_root) as folder:
        values = Path(folder) / "values.yaml"
        values.write_text(yaml.safe_dump(values_of(project, run, champion, args.policy), allow_unicode=True))
        arguments = ["retrain", "-f", str(values), *(["--profile", args.profile] if args.profile else [])]
        for name, value in args.parameter:
            arguments += ["-p", name, value]
        inner = argparse.ArgumentParser()
        run_verb.parser(inner)
        code = run_verb.main(inner.parse_args(arguments))
    if code:
        return code
    made = open_run(project)
    duel = made.load("challenge")
    print("\n" + _said(duel))
    challenger = registry.register(made)
    if challenger.number == champion.number:
        print(f"The challenger is {champion.name} itself, to the last bit: nothing changes.")
        return 0
    why = args.why or f"duel of run {made.id}: {duel['decision']}"
    if CHALLENGER not in challenger.aliases:
        print(said(registry.promote(challenger.name, CHALLENGER, why, force=True)))
    if duel["decision"] == "approve":
        print(
            f"More answers change than may without a person: look at it, then `mlnb promote {challenger.name} --why …`"
        )
        return AWAITING
    if duel["decision"] == "promote" and args.promote:
        print(said(registry.promote(challenger.name, CHAMPION, why)))
    elif duel["decision"] == "promote":
        print(f"It may be put in charge: mlnb promote {challenger.name} --why 'won the duel'")
    return 0


def values_of(project: Project, run: Run, champion: Version, policy: str) -> dict[str, Any]:
    """Return every value of the pipeline by stage: the champion's own, and where its past is.

    Raises `UsageError` where what was met in service is not what the champion learned from.
    """
    from mlnb.methods.metrics.goals import base_name
    from mlnb.methods.problem.problem_contract import DETAILS
    from mlnb.methods.tuning.trial_proposals import lead

    contract = run.load("contract", ProblemContract)
    if contract.cut:
        raise UsageError(
            f"{champion.name} learned from a log of interactions, and was asked about candidates made of it: what it "
            "met is no interaction. Learn from the newer log: mlnb run --data FILE, then mlnb compare."
        )
    values: dict[str, dict[str, Any]] = {}
    for stage in project.pipeline("retrain"):
        stated = (run.record["stages"].get(stage) or {}).get("parameters") or {}
        values[stage] = {
            name: entry["value"]
            for name, entry in stated.items()
            if name != "run" and entry["from"] not in ("cell", ORIGIN)
        }
    kept = {
        name: getattr(contract, name) for name in ("target", "task", "positive", "top", *DETAILS.get(contract.task, ()))
    }
    values["problem"] |= {name: value for name, value in kept.items() if value not in (None, [])}
    values["problem"]["metric"] = base_name(contract.metric)
    if run.output("best") is not None and run.output("trials") is not None:
        values["tune"]["warm"] = lead(run.load("best"), run.load("trials"), champion.name)
    values["collect"] |= {
        "history": _path_of(project, run, "table" if contract.task == "forecasting" else "raw"),
        "log": str(log_folder(project, champion.model)),
        "labels": str(labels) if (labels := label_database(project, champion.model)).exists() else "",
        "contract": _path_of(project, run, "contract"),
        "policy": policy,
    }
    service: Path = load_object(project.store, "tree", champion.service)
    values["challenge"] |= {"champion": str(service)}
    return {stage: stated for stage, stated in values.items() if stated}


def _path_of(project: Project, run: Run, artifact: str) -> str:
    output = run.output(artifact)
    if output is None:
        raise UsageError(f"Run {run.id} has no {artifact!r} to learn from again.")
    return str(project.store.path(output["digest"]))


def _said(duel: dict[str, Any]) -> str:
    rows = [
        [line["check"], line["found"], line["required"], "yes" if line["passed"] else "NO"] for line in duel["lines"]
    ]
    text = table(["challenge", "found", "required", "holds"], rows)
    both = f"champion {duel['champion']:.4g}, challenger {duel['challenger']:.4g}"
    return f"{text}\n{duel['metric']} on {duel['rows']:,} fresh rows: {both}"
