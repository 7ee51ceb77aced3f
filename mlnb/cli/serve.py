"""`mlnb serve`: a run's model answers predictions over HTTP."""

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ServingError, UsageError
from mlnb.monitoring.monitoring_paths import log_environment
from mlnb.registry.registry import meant
from mlnb.serving.packaging.bento_server import Server, serving
from mlnb.serving.packaging.bento_stores import last_lines
from mlnb.serving.packaging.bundles import curl
from mlnb.serving.packaging.run_bento import LATEST, build_winner, find_winner
from mlnb.serving.runtime.access import ANONYMOUS

LOOK = 1.0  # seconds between two looks at what the reference means
ROLES = {".follow": "now following", ".shadow": "in its shadow", ".canary": "as its canary"}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb serve`."""
    p.add_argument("run", nargs="?", default=LATEST, help="a run, or a version: @champion (default: newest proven run)")
    p.add_argument("--port", type=int, default=3000, help="port to listen on (default: %(default)s)")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, loopback)")
    p.add_argument("--workers", type=int, default=1, help="processes that answer (default: %(default)s)")
    p.add_argument("--follow", action="store_true", help="when the alias or the newest run is another, serve that one")
    p.add_argument("--shadow", metavar="VERSION", help="answers the same requests, unheard; its answers are logged")
    p.add_argument("--canary", metavar="VERSION", help="answers --share of the keys until it fails or is slow")
    p.add_argument("--share", type=float, default=0.1, help="above 0 and at most 0.5 (default: %(default)s)")
    p.add_argument("--allow-anonymous", action="store_true", help="answer anyone, on any address, without a key")
    p.add_argument("--no-log", action="store_true", help="keep no prediction log")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = (
        "examples:\n  mlnb serve\n  mlnb serve 20260102-0304 --port 8080\n"
        "  mlnb serve @champion --follow             a promotion takes over without a request lost\n"
        "  mlnb serve @champion --follow --canary @challenger --share 0.2\n"
        "  MLNB_API_KEY=... mlnb serve --host 0.0.0.0 --workers 2    for other machines too\n\n"
        "A shadow or canary is whatever its reference means at the time, and nobody while it means nothing.\n"
        "Routes: POST /predict, GET /livez, /readyz, /metrics, /docs.json. Ctrl-C stops it."
    )


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    project = Project.find()
    run = find_winner(project, meant(project, args.run))
    bundle, built = build_winner(run)
    log = project.store_root / "serve" / f"{args.port}.log"
    if not 0 < args.share <= 0.5:
        raise UsageError(f"--share is {args.share:g}; expected a share of the keys above 0 and at most 0.5.")
    references = {"follow": args.run if args.follow else None, "shadow": args.shadow, "canary": args.canary}
    followed = {log.with_suffix(f".{name}"): reference for name, reference in references.items() if reference}
    for pointer in followed:
        pointer.unlink(missing_ok=True)
        os.environ[f"MLNB_{pointer.suffix[1:].upper()}"] = str(pointer)
    if args.canary:
        os.environ["MLNB_CANARY_SHARE"] = str(args.share)
    if args.follow:
        point(log.with_suffix(".follow"), bundle.folder)
    told = look(project, followed, {})
    if args.allow_anonymous:
        os.environ[ANONYMOUS] = "1"
    if not args.no_log:
        for name, value in log_environment(project, bundle.name).items():
            os.environ.setdefault(name, value)
    golden = bundle.read_golden()
    with serving(built.path, log, args.host, args.port, args.workers) as server:
        try:
            server.wait()
            print(f"{built.tag} of run {run.id} answers on {server.address}  (log: {log})\n")
            print(f"  {curl(golden, args.port, server.reachable)}\n\nCtrl-C stops it.", flush=True)
            code = wait(server, project, followed, told) if followed else server.process.wait()
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0
    raise ServingError(f"The service ended with {code}, not asked to:\n{last_lines(server.said())}")


def wait(server: Server, project: Project, followed: Mapping[Path, str], told: dict[Path, str]) -> int:
    """Return the server's exit code when it ends; until then keep the pointers at what their references mean."""
    while True:
        try:
            return server.process.wait(LOOK)
        except subprocess.TimeoutExpired:
            told = look(project, followed, told)


def look(project: Project, followed: Mapping[Path, str], told: Mapping[Path, str]) -> dict[Path, str]:
    """Point each pointer to what its reference means now; return what is wrong with them, said once by `told`."""
    wrong = {}
    for pointer, reference in followed.items():
        try:
            run = find_winner(project, meant(project, reference))
            if point(pointer, run.load("service")):
                print(f"{ROLES[pointer.suffix]} run {run.id}", flush=True)
        except MlnbError as error:  # a registry that is locked, a run that was removed: the old model goes on
            wrong[pointer] = f"mlnb serve: {reference}: {error}"
            if told.get(pointer) != wrong[pointer]:
                print(wrong[pointer], file=sys.stderr, flush=True)
    return wrong


def point(pointer: Path, folder: Path) -> bool:
    """Write where the model is, whole; return whether that was news."""
    text = f"{folder.absolute()}\n"
    if pointer.exists() and pointer.read_text("utf-8") == text:
        return False
    write_whole(pointer, text.encode())
    return True
