"""`mlnb stage`: run one stage of a plan that another machine has pushed to the remote store."""

import argparse
import sys
from pathlib import Path

from mlnb.api.planned_stages import PlanSource, run_stage
from mlnb.api.progress import progress_listener
from mlnb.cli.run_summary import failure_summary
from mlnb.errors import RemoteError
from mlnb.tracking.run_results import exit_code


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb stage`."""
    p.add_argument("key", help="key of the stage, which `mlnb plan --push` prints")
    p.add_argument("--remote", required=True, metavar="URL", help="remote store: s3://, gs://, az:// or file:///")
    p.add_argument("--folder", type=Path, metavar="DIR", help="folder of the project (default: in the user's cache)")
    p.add_argument("--keys", type=Path, metavar="FILE", help="trusted_keys.json: run only plans signed by one of them")
    p.add_argument("--json", action="store_true", help="print events as JSON lines")
    p.epilog = (
        "examples:\n  mlnb plan --push                                on one machine: push the plan, print the keys\n"
        "  mlnb stage KEY --remote s3://bucket/team        on another one: run a stage, push its result\n"
        "  mlnb stage KEY --remote s3://bucket/team --keys trusted_keys.json\n\n"
        "The other machine needs mlnb with the same libraries, and nothing of the project: notebooks, modules, files\n"
        "and the artifacts that the stage reads are pulled. Stages before it must have run. Without --keys, everyone\n"
        "with write access to the remote store can run code on this machine.\n\n"
        "exit codes: as `mlnb run`; 0 also when the remote store has the result already"
    )


def main(args: argparse.Namespace) -> int:
    """Run the stage; return the exit code of its run."""
    planned = PlanSource(args.remote, args.folder, args.keys).pull(args.key)
    run = run_stage(planned, progress_listener(args.json), ("mlnb", *sys.argv[1:]))
    if run is None:
        print(f"stage {planned.stage}: the remote store has its result")
        return 0
    if code := exit_code(run.record):
        print(failure_summary(run, f"mlnb stage {args.key} --remote {args.remote}"), file=sys.stderr)
        return code
    remote = planned.planner.project.store.remote
    if remote is None or remote.down or remote.lacks_run(run.id):
        raise RemoteError(f"Stage {planned.stage!r} has run, and its result is not pushed; run the command again.")
    print(f"stage {planned.stage}: its result is pushed")
    return 0
