"""`mlnb loop`: monitor by the clock, retrain and roll back where the verdict says so."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from mlnb.engine.files import try_lock
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.schedules import moments

Command = Callable[[list[str]], int]


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb loop`."""
    p.add_argument("--every", default="17 * * * *", metavar="CRON", help="cron expression (default: %(default)s)")
    p.add_argument("--once", action="store_true", help="one turn now, then end with its code")
    p.add_argument("--promote", action="store_true", help="put a challenger in charge that has won its duel")
    p.add_argument("--rollback", action="store_true", help="go back to the version before when the verdict says so")
    p.add_argument("--days", default="7", help="length of the window that is looked at (default: %(default)s)")
    p.add_argument("--label-delay", default="0", metavar="DAYS", help="days that labels take as a rule")
    p.add_argument("--tolerance", default="0", help="loss of the deciding metric that is put up with")
    p.add_argument("--policy", default="growing", help="what a challenger learns from (default: %(default)s)")
    p.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="of `mlnb retrain`"
    )
    p.add_argument("--profile", help="a profile of settings.ini, for retraining")
    p.add_argument("--webhook", default="", metavar="URL", help="where a verdict other than keep is sent, signed")
    p.epilog = (
        "examples:\n  mlnb loop --promote --rollback\n"
        "  mlnb loop --every '0 3 * * *' --label-delay 14\n"
        "  mlnb loop --once       for cron and CI; `mlnb schedule` writes the file\n\n"
        "Without --promote and --rollback nothing is put in charge; verdicts, challengers and duels are told.\n"
        "Exit codes of --once: those of `mlnb monitor`, or of `mlnb retrain` when it was run."
    )


def main(args: argparse.Namespace) -> int:
    """Turn once, or by the clock until Ctrl-C; one loop a project."""
    project = Project.find()
    with try_lock(project.store_root / "loop.lock") as held:
        if not held:
            raise UsageError("A loop is turning in this project already; one is enough.")
        if args.once:
            return turn(args, _command)
        next(moments(args.every, datetime.now(UTC)))
        try:
            while True:
                when = next(moments(args.every, datetime.now(UTC)))
                print(f"next turn at {when:%d %B %Y, %H:%M} UTC; Ctrl-C ends the loop", flush=True)
                while (left := (when - datetime.now(UTC)).total_seconds()) > 0:
                    time.sleep(min(left, 60))  # a clock that is set is noticed within the minute
                print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} turn ended with {turn(args, _command)}", flush=True)
        except KeyboardInterrupt:
            print("\nEnded.")
            return 0


def turn(args: argparse.Namespace, command: Command) -> int:
    """Monitor, and do what the verdict says; return the code of what was done last."""
    watched = ["monitor", "--days", args.days, "--label-delay", args.label_delay, "--tolerance", args.tolerance]
    code = command([*watched, *(["--webhook", args.webhook] if args.webhook else [])])
    if code == CODES["roll back"] and args.rollback:
        return command(["rollback", "--why", "the monitor: worse than the version before was"])
    if code in (CODES["retrain"], CODES["roll back"]):
        chosen = ["--profile", args.profile] if args.profile else []
        for name, value in [("collect.label_delay", args.label_delay), *args.parameter]:
            chosen += ["-p", name, value]
        return command(["retrain", "--policy", args.policy, *chosen, *(["--promote"] if args.promote else [])])
    return code


def _command(arguments: list[str]) -> int:
    """Run a verb in a process of its own, so that a turn leaves nothing behind in this one."""
    return subprocess.run([sys.executable, "-m", "mlnb.cli.main", *arguments], check=False).returncode
