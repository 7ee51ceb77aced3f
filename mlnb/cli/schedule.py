"""`mlnb schedule`: write the schedule of monitoring cycles for cron, systemd, GitHub Actions or Kubernetes."""

import argparse
from pathlib import Path

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.monitoring.schedules import TARGETS, ScheduledCommand, write_schedule


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb schedule`."""
    p.add_argument("--to", choices=TARGETS, required=True, help="scheduler")
    p.add_argument("--when", default="17 * * * *", metavar="CRON", help="cron expression (default: %(default)s)")
    p.add_argument("--image", default="", help="kubernetes: image with mlnb and the project")
    p.add_argument("--write", type=Path, metavar="FOLDER", help="write the files there instead of printing them")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="options of `mlnb loop --once`, after two dashes")
    p.epilog = (
        "examples:\n  mlnb schedule --to cron\n  mlnb schedule --to systemd --when '0 3 * * *' --write units\n"
        "  mlnb schedule --to kubernetes --image registry.internal/mlnb:1 -- --promote --label-delay 14"
    )


def main(args: argparse.Namespace) -> int:
    """Print or write the files; return 0."""
    scheduled = ScheduledCommand(args.when, ("loop", "--once", *args.options), Project.find().root)
    for name, text in write_schedule(scheduled, args.to, args.image).items():
        if args.write is None:
            print(f"# {name}\n{text}")
        else:
            write_whole(args.write.expanduser() / name, text.encode())
            print(args.write / name)
    return 0
