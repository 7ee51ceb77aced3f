"""`mlnb monitor`: evaluate the model in production, and decide what to do."""

import argparse
import json
import sys
from pathlib import Path

from mlnb.api.monitored_models import (
    MonitoredModel,
    MonitorOptions,
    marked_outcome,
    monitoring_request,
    run_outcome,
)
from mlnb.api.several_models import ModelOutcome
from mlnb.cli import run as run_verb
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.codec import JsonObject, to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.monitoring.alerts import CODES, alert_rules, notify
from mlnb.monitoring.evidently import render
from mlnb.monitoring.monitoring_paths import log_folder
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb monitor`."""
    p.add_argument("version", nargs="?", default="", help="model:3, model@champion ... (default: the champion)")
    add_filters(p)
    default = MonitorOptions()
    p.add_argument(
        "--days", type=float, default=default.days, help="length of the window in days (default: %(default)s)"
    )
    p.add_argument(
        "--label-delay", type=float, default=default.label_delay, metavar="DAYS", help="usual delay of labels"
    )
    p.add_argument("--tolerance", type=float, default=default.tolerance, help="tolerated loss of the deciding metric")
    p.add_argument("--webhook", default="", metavar="URL", help="send verdicts other than keep there, signed")
    p.add_argument("--evidently", type=Path, metavar="HTML", help="write the drift report of Evidently as well")
    p.add_argument("--alert-rules", action="store_true", help="print alert rules for Prometheus")
    p.add_argument("--json", action="store_true", help="print the verdict as one JSON object")
    codes = ", ".join(f"{code} {outcome}" for outcome, code in CODES.items())
    p.epilog = (
        "examples:\n  mlnb monitor\n  mlnb monitor churn@champion --days 1 --label-delay 14\n"
        "  mlnb monitor --webhook https://chat.internal/hook\n"
        "  mlnb monitor --all                      every model; --name 'churn*' and --segment Berlin select\n\n"
        f"exit codes: {codes}; others as for `mlnb run`\n{FILTERS}\n"
        "MLNB_WEBHOOK_SECRET signs the body of the webhook with HMAC-SHA256, in the header X-Mlnb-Signature."
    )


def main(args: argparse.Namespace) -> int:
    """Monitor a version, or one version of each selected model; return the exit code."""
    if args.alert_rules:
        print(alert_rules(), end="")
        return 0
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    options = MonitorOptions(days=args.days, label_delay=args.label_delay, tolerance=args.tolerance)
    if selects_several(args, args.version):
        models = selected_models(registry, args)
        return for_each_model(
            project, models, lambda one: monitor_version(project, registry, one, options, args), args.json
        )
    return monitor_version(project, registry, registry.find_or_champion(args.version), options, args).code


def monitor_version(
    project: Project, registry: Registry, version: ModelVersion, options: MonitorOptions, args: argparse.Namespace
) -> ModelOutcome:
    """Run the pipeline `monitor` on the prediction log of one model, print the verdict and send it."""
    marked = marked_outcome(registry, version, options)
    if marked is not None:
        return _end_with(marked, version, args)
    printed = run_verb.output_options("--no-report", *["--json"] * args.json)
    request = monitoring_request(project, registry, version, options)
    stdout = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # events of the run; standard output has the verdict alone
    try:
        code = run_verb.run_request(project.with_settings(tracker="local"), request, printed)
    finally:
        sys.stdout = stdout
    if code:
        return ModelOutcome("failed", code)
    run = open_run(project)
    if args.evidently:
        window = read_log(log_folder(project, version.model))[0]
        window = window.rename(columns=lambda name: str(name).removeprefix("in."))
        print(render(open_run(project, version.run).load("training"), window, args.evidently), file=sys.stderr)
    return _end_with(run_outcome(run), version, args)


def _end_with(outcome: MonitoredModel, version: ModelVersion, args: argparse.Namespace) -> MonitoredModel:
    """Print a verdict and send it; return it."""
    verdict = outcome.verdict
    message = to_json(verdict) | {"model": version.name}
    if args.json:
        print(json.dumps(message, ensure_ascii=False))
    else:
        print(f"\n{version.name}: {verdict.outcome}")
        for reason in verdict.reasons:
            print(f"  {reason.outcome:<9} {reason.text}")
    if args.webhook and verdict.outcome != "keep":
        send_verdict(args.webhook, message)
    return outcome


def send_verdict(url: str, message: JsonObject) -> None:
    """Send a verdict to a webhook; an error is printed and changes neither verdict nor exit code."""
    try:
        notify(url, message)
    except UsageError as error:
        print(f"mlnb monitor: {error}", file=sys.stderr)
