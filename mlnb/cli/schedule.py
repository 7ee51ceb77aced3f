"""`mlnb schedule`: files for schedulers that run monitoring cycles, and for orchestrators that run pipelines."""

import argparse
from pathlib import Path

from mlnb.cli.arguments import add_options
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.monitoring.schedules import TARGETS, ScheduledCommand, write_schedule
from mlnb.orchestration.pipeline_files import ORCHESTRATORS, PipelineFiles, write_pipeline
from mlnb.orchestration.task_graphs import Granularity

EVERY_HOUR = "17 * * * *"  # of monitoring cycles
EXAMPLES = """examples:
  mlnb schedule --to cron                                          a monitoring cycle every hour
  mlnb schedule --to systemd --when '0 3 * * *' --write units
  mlnb schedule --to kubernetes --image registry.internal/mlnb:1 -- --promote --label-delay 14
  mlnb schedule --to airflow --write dags                          the default pipeline, as a DAG
  mlnb schedule --to airflow --by stage -- --data sales.parquet --target sold
  mlnb schedule --to argo --image registry.internal/mlnb@sha256:0123... --when '0 3 * * 1' --write argo
  mlnb schedule --to github-actions --pipeline train --write .

cron, systemd, kubernetes and github-actions run `mlnb loop --once`, with the options after `--`. airflow, argo and
kubeflow, and github-actions with --pipeline, run a pipeline, with options of `mlnb run` after `--`: the first task
makes a plan, tasks whose stages have not changed are skipped, and the last task records the run. Tasks share the
project folder; in GitHub Actions each job hands runs and store to the next.
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb schedule`."""
    every = sorted({*TARGETS, *ORCHESTRATORS})
    p.add_argument("--to", choices=every, required=True, help="scheduler or orchestrator: " + ", ".join(every))
    p.add_argument("--pipeline", metavar="NAME", help="pipeline that an orchestrator runs (default: the setting)")
    p.add_argument(
        "--by",
        type=Granularity,
        choices=list(Granularity),
        default=Granularity.GROUP,
        help="what a task of an orchestrator is (default: a group of stages: prepare, tune, train, package)",
    )
    p.add_argument(
        "--when",
        metavar="CRON",
        help=f"cron expression (default: '{EVERY_HOUR}' for monitoring cycles; pipelines are started by hand)",
    )
    p.add_argument("--image", default="", help="image with mlnb and the project; by digest for orchestrators")
    p.add_argument("--write", type=Path, metavar="FOLDER", help="write the files there instead of printing them")
    p.add_argument("options", nargs="*", metavar="-- OPTION", help="options of the command, after two dashes")
    p.epilog = EXAMPLES


def main(args: argparse.Namespace) -> int:
    """Print or write the files; return 0."""
    project = Project.find()
    if args.to in ORCHESTRATORS and (args.pipeline is not None or args.to not in TARGETS):
        _check_options(args.options)
        request = PipelineFiles(args.to, args.pipeline, args.by, tuple(args.options), args.image, args.when or "")
        files = write_pipeline(project, request)
    elif args.pipeline is not None:
        raise UsageError(f"--pipeline: {args.to} runs monitoring cycles; pipelines run on {', '.join(ORCHESTRATORS)}.")
    else:
        scheduled = ScheduledCommand(args.when or EVERY_HOUR, ("loop", "--once", *args.options), project.root)
        files = write_schedule(scheduled, args.to, args.image)
    for name, text in files.items():
        if args.write is None:
            print(f"# {name}, a file that --write FOLDER writes\n{text}")
        else:
            write_whole(args.write.expanduser() / name, text.encode())
            print(args.write / name)
    return 0


def _check_options(options: list[str]) -> None:
    """Raise `UsageError` for options that `mlnb run` does not have, or that select stages: the tasks do."""
    p = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    add_options(p)
    try:
        selected, unknown = p.parse_known_args(options)
    except argparse.ArgumentError as error:
        raise UsageError(f"{' '.join(options)}: {error}. `mlnb run --help` lists the options.") from None
    if unknown or selected.pipeline:
        rest = " ".join(unknown or [selected.pipeline])
        raise UsageError(f"{rest}: no options of `mlnb run`; --pipeline, before the dashes, names the pipeline.")
    if selected.upto or selected.since or selected.only or selected.force is not None or selected.grid:
        raise UsageError("--upto, --from, --only, --force and -g cannot be options of all tasks: each runs its stages.")
