"""`mlnb worker`: run stages for other machines, as a worker of a Dask cluster, or run the scheduler of one."""

import argparse
from pathlib import Path

from mlnb.api.run_executors import require_dask
from mlnb.errors import UsageError


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb worker`."""
    role = p.add_mutually_exclusive_group(required=True)
    role.add_argument("--on", metavar="URL", help="join the scheduler at dask://HOST:PORT, and run its stages")
    role.add_argument("--scheduler", metavar="URL", help="run a scheduler at dask://HOST:PORT of this machine")
    p.add_argument("--keys", type=Path, metavar="FILE", help="trusted_keys.json: run only plans signed by one of them")
    p.epilog = (
        "examples:\n"
        "  mlnb worker --scheduler dask://10.0.0.1:8786     on one machine: the scheduler\n"
        "  mlnb worker --on dask://10.0.0.1:8786            on each machine that is to run stages\n"
        "  MLNB_EXECUTOR=dask://10.0.0.1:8786 mlnb run      run a pipeline on them\n\n"
        "A worker runs one stage at a time; start several for more. It needs mlnb with the same libraries as the\n"
        "other machines, credentials of the remote store, and nothing of the project. One that differs in version\n"
        "or platform is rejected. Both end with Ctrl-C or SIGTERM; the stage of a worker that ends runs on another.\n"
        "Everyone who can reach the scheduler can run code on its workers: use a private network.\n"
        "Extra: pip install 'mlnb[dask,remote]'\n\n"
        "exit codes: 0 ended by a signal, 2 usage error, 3 no scheduler responds or can start, or this machine\n"
        "differs"
    )


def main(args: argparse.Namespace) -> int:
    """Serve until a signal; return the exit code."""
    if args.scheduler and args.keys:
        raise UsageError("A scheduler runs no plans; --keys is for workers: `mlnb worker --on URL --keys FILE`.")
    require_dask()
    from mlnb.api.stage_worker import serve_scheduler, serve_worker

    if args.scheduler:
        serve_scheduler(args.scheduler)
    else:
        serve_worker(args.on, args.keys)
    return 0
