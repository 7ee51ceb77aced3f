"""`mlnb loop`: run monitoring cycles on a schedule: monitor, retrain and roll back."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mlnb.api.retraining import AWAITING
from mlnb.api.several_models import ModelOutcome
from mlnb.cli.all_models import FILTERS, add_filters, for_each_model, selected_models, selects_several
from mlnb.engine.files import try_lock
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.schedules import run_times
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry

Command = Callable[[list[str]], int]


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb loop`."""
    p.add_argument("--every", default="17 * * * *", metavar="CRON", help="cron expression (default: %(default)s)")
    p.add_argument("--once", action="store_true", help="run one cycle now, end with its exit code")
    add_filters(p)
    p.add_argument("--promote", action="store_true", help="promote a challenger that wins its evaluation")
    p.add_argument(
        "--rollback", action="store_true", help="restore the previous champion when the verdict is roll back"
    )
    p.add_argument("--days", default="7", help="length of the window in days (default: %(default)s)")
    p.add_argument("--label-delay", default="0", metavar="DAYS", help="usual delay of labels")
    p.add_argument("--tolerance", default="0", help="tolerated loss of the deciding metric")
    p.add_argument("--policy", default="growing", help="training rows of a challenger (default: %(default)s)")
    p.add_argument(
        "-p",
        "--parameter",
        nargs=2,
        action="append",
        default=[],
        metavar=("NAME", "VALUE"),
        help="parameter of `mlnb retrain`",
    )
    p.add_argument("--profile", help="profile of settings.ini for retraining")
    p.add_argument("--webhook", default="", metavar="URL", help="send verdicts other than keep there, signed")
    p.epilog = (
        "examples:\n  mlnb loop --promote --rollback\n"
        "  mlnb loop --every '0 3 * * *' --label-delay 14\n"
        "  mlnb loop --all --promote                      every model; --name and --segment select\n"
        "  mlnb loop --once       one cycle, for cron and CI; see `mlnb schedule`\n\n"
        "Without --promote and --rollback the champion stays; verdicts and challengers are reported.\n\n"
        "exit codes of --once: those of `mlnb monitor`, or of `mlnb retrain` when a challenger was trained\n"
        f"{FILTERS}"
    )


def main(args: argparse.Namespace) -> int:
    """Run one cycle, or cycles on a schedule until Ctrl-C; one loop per project."""
    project = Project.find()
    with try_lock(project.store_root / "loop.lock") as held:
        if not held:
            raise UsageError("A loop is running in this project already; stop it first.")
        if args.once:
            return run_cycles(project, args, _command)
        next(run_times(args.every, datetime.now(UTC)))
        try:
            while True:
                when = next(run_times(args.every, datetime.now(UTC)))
                print(f"next cycle at {when:%d %B %Y, %H:%M} UTC; Ctrl-C ends the loop", flush=True)
                while (left := (when - datetime.now(UTC)).total_seconds()) > 0:
                    time.sleep(min(left, 60))  # a change of the clock is noticed within a minute
                code = run_cycles(project, args, _command)
                print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} cycle ended with {code}", flush=True)
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0


def run_cycles(project: Project, args: argparse.Namespace, command: Command) -> int:
    """Run one cycle of the champion, or of each selected model; return the exit code."""
    if not selects_several(args):
        return run_cycle(args, command)
    registry = Registry(project)
    registry.sync()
    models = selected_models(registry, args)
    registry.engine.dispose()  # the commands of a cycle are processes that open it themselves
    return for_each_model(project, models, lambda version: _cycle_outcome(run_cycle(args, command, version)))


def _cycle_outcome(code: int) -> ModelOutcome:
    results = {
        0: "done",
        AWAITING: "approval needed",
        **{number: outcome for outcome, number in CODES.items() if number},
    }
    return ModelOutcome(results.get(code, "failed"), code)


def run_cycle(args: argparse.Namespace, command: Command, version: ModelVersion | None = None) -> int:
    """Monitor, then retrain or roll back according to the verdict; return the exit code of the last command.

    Args:
        args: The options of the command.
        command: Runs a command of mlnb.
        version: The version to monitor; None: the champion of the only model.
    """
    named = [] if version is None else [version.name]
    monitor = ["monitor", *named, "--days", args.days, "--label-delay", args.label_delay, "--tolerance", args.tolerance]
    code = command([*monitor, *(["--webhook", args.webhook] if args.webhook else [])])
    if code == CODES["roll back"] and args.rollback:
        return command(
            [
                "rollback",
                *([version.model] if version else []),
                "--reason",
                "monitoring: worse than the previous version",
            ]
        )
    if code in (CODES["retrain"], CODES["roll back"]):
        options = ["--profile", args.profile] if args.profile else []
        for name, value in [("collect.label_delay", args.label_delay), *args.parameter]:
            options += ["-p", name, value]
        return command(["retrain", *named, "--policy", args.policy, *options, *(["--promote"] if args.promote else [])])
    return code


def _command(arguments: list[str]) -> int:
    """Run a command in a separate process, so that a cycle leaves nothing in this one."""
    return subprocess.run([sys.executable, "-m", "mlnb.cli.main", *arguments], check=False).returncode
