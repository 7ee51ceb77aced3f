"""`mlnb monitor`: evaluate the model in production, and decide what to do."""

import argparse
import json
import sys
import time
from pathlib import Path

from mlnb.api.several_models import ModelOutcome
from mlnb.cli import run as run_verb
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.codec import JsonObject, to_json
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import RegistryError, UsageError
from mlnb.methods.contracts.monitoring_records import MonitoringVerdict, MonitoringWindow, Reason
from mlnb.monitoring.alerts import CODES, alert_rules, notify
from mlnb.monitoring.evidently import render
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import convert_finished, read_log
from mlnb.monitoring.production_heads import record_heads
from mlnb.registry.audit_log import Entry
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.retraining_marks import describe_mark, retraining_marks


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb monitor`."""
    p.add_argument("version", nargs="?", default="", help="model:3, model@champion ... (default: the champion)")
    add_filters(p)
    p.add_argument("--days", type=float, default=7.0, help="length of the window in days (default: %(default)s)")
    p.add_argument("--label-delay", type=float, default=0.0, metavar="DAYS", help="usual delay of labels")
    p.add_argument("--tolerance", type=float, default=0.0, help="tolerated loss of the deciding metric")
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
    if selects_several(args, args.version):
        models = selected_models(registry, args)
        return for_each_model(
            project, models, lambda one: _monitored(monitor_version(project, registry, one, args)), args.json
        )
    return monitor_version(project, registry, registry.find_or_champion(args.version), args)


def _monitored(code: int) -> ModelOutcome:
    outcome = next((outcome for outcome, number in CODES.items() if number == code), "failed")
    return ModelOutcome(outcome, code)


def monitor_version(project: Project, registry: Registry, version: ModelVersion, args: argparse.Namespace) -> int:
    """Run the pipeline `monitor` on the prediction log of one model; return the exit code of the verdict."""
    mark = retraining_marks(registry.log()).get(version.name)
    if mark is not None:
        return _end_with(_marked_verdict(version, mark, args.days), version, args)
    log = log_folder(project, version.model)
    if not log.is_dir():
        raise UsageError(f"{version.model} has no prediction log in {log}; `mlnb serve` writes one.")
    convert_finished(log)
    try:
        record_heads(project, registry, version, log)
    except RegistryError as error:  # what is in production is to be monitored all the same
        print(f"mlnb monitor: the heads of log and labels are not recorded: {error}", file=sys.stderr)
    parameters: dict[str, str | float | Path] = {
        "monitor.log": log,
        "monitor.labels": labels if (labels := label_database(project, version.model)).exists() else "",
        "monitor.version": version.metadata.certificate.model,
        "monitor.days": args.days,
        "monitor.label_delay": args.label_delay,
        "monitor.tolerance": args.tolerance,
    }
    arguments = ["monitor", "--inputs-from", version.run, "--no-report", "--tracker", "local"]
    for name, value in parameters.items():
        arguments += ["-p", name, str(value)]
    inner = argparse.ArgumentParser()
    run_verb.parser(inner)
    quiet = ["--json"] if args.json else []
    output = sys.stdout
    if args.json:
        sys.stdout = sys.stderr  # events of the run; standard output has the verdict alone
    try:
        code = run_verb.main(inner.parse_args([*arguments, *quiet]))
    finally:
        sys.stdout = output
    if code:
        return code
    verdict = open_run(project).load("verdict", MonitoringVerdict)
    if args.evidently:
        window = read_log(log)[0].rename(columns=lambda name: str(name).removeprefix("in."))
        print(render(open_run(project, version.run).load("training"), window, args.evidently), file=sys.stderr)
    return _end_with(verdict, version, args)


def _marked_verdict(version: ModelVersion, mark: Entry, days: float) -> MonitoringVerdict:
    """Return the verdict on a version whose data was erased in part, so that nothing can be compared with it."""
    reason = Reason(outcome="retrain", kind="erased rows", text=describe_mark(mark))
    window = MonitoringWindow(version=version.metadata.certificate.model, rows=0, until=time.time(), days=days)
    return MonitoringVerdict(outcome="retrain", reasons=(reason,), window=window)


def _end_with(verdict: MonitoringVerdict, version: ModelVersion, args: argparse.Namespace) -> int:
    """Print a verdict and send it; return its exit code."""
    message = to_json(verdict) | {"model": version.name}
    if args.json:
        print(json.dumps(message, ensure_ascii=False))
    else:
        print(f"\n{version.name}: {verdict.outcome}")
        for reason in verdict.reasons:
            print(f"  {reason.outcome:<9} {reason.text}")
    if args.webhook and verdict.outcome != "keep":
        send_verdict(args.webhook, message)
    return CODES[verdict.outcome]


def send_verdict(url: str, message: JsonObject) -> None:
    """Send a verdict to a webhook; an error is printed and changes neither verdict nor exit code."""
    try:
        notify(url, message)
    except UsageError as error:
        print(f"mlnb monitor: {error}", file=sys.stderr)
