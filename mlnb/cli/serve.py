"""`mlnb serve`: a run's model answers predictions over HTTP."""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ServingError
from mlnb.monitoring.places import log_environment
from mlnb.registry.registry import meant
from mlnb.serving.access import ANONYMOUS
from mlnb.serving.bundles import curl
from mlnb.serving.servers import Server, serving
from mlnb.serving.stores import last_lines
from mlnb.serving.winners import LATEST, build_winner, find_winner

LOOK = 1.0  # seconds between two looks at what the reference means


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb serve`."""
    p.add_argument("run", nargs="?", default=LATEST, help="a run, or a version: @champion (default: newest proven run)")
    p.add_argument("--port", type=int, default=3000, help="port to listen on (default: %(default)s)")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, loopback)")
    p.add_argument("--workers", type=int, default=1, help="processes that answer (default: %(default)s)")
    p.add_argument("--follow", action="store_true", help="when the alias or the newest run is another, serve that one")
    p.add_argument("--allow-anonymous", action="store_true", help="answer anyone, on any address, without a key")
    p.add_argument("--no-log", action="store_true", help="keep no prediction log")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = (
        "examples:\n  mlnb serve\n  mlnb serve 20260102-0304 --port 8080\n"
        "  mlnb serve @champion --follow             a promotion takes over without a request lost\n"
        "  MLNB_API_KEY=... mlnb serve --host 0.0.0.0 --workers 2    for other machines too\n\n"
        "Routes: POST /predict, GET /livez, /readyz, /metrics, /docs.json. Ctrl-C stops it."
    )


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    project = Project.find()
    run = find_winner(project, meant(project, args.run))
    bundle, built = build_winner(run)
    log = project.store_root / "serve" / f"{args.port}.log"
    pointer = log.with_suffix(".follow")
    if args.follow:
        point(pointer, bundle.folder)
        os.environ["MLNB_FOLLOW"] = str(pointer)
    if args.allow_anonymous:
        os.environ[ANONYMOUS] = "1"
    if not args.no_log:
        for name, value in log_environment(project, bundle.name).items():
            os.environ.setdefault(name, value)
    golden = json.loads((bundle.folder / "model" / "golden.json").read_text("utf-8"))
    with serving(built.path, log, args.host, args.port, args.workers) as server:
        try:
            server.wait()
            print(f"{built.tag} of run {run.id} answers on {server.address}  (log: {log})\n")
            print(f"  {curl(golden, args.port, server.reachable)}\n\nCtrl-C stops it.", flush=True)
            code = wait(server, project, args.run, pointer) if args.follow else server.process.wait()
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0
    raise ServingError(f"The service ended with {code}, not asked to:\n{last_lines(server.said())}")


def wait(server: Server, project: Project, reference: str, pointer: Path) -> int:
    """Return the server's exit code when it ends; until then keep the pointer at what the reference means."""
    told = ""
    while True:
        try:
            return server.process.wait(LOOK)
        except subprocess.TimeoutExpired:
            pass
        try:
            run = find_winner(project, meant(project, reference))
            if point(pointer, run.load("service")):
                print(f"now following run {run.id}", flush=True)
            told = ""
        except MlnbError as error:  # a registry that is locked, a run that was removed: the old model goes on
            if str(error) != told:
                told = str(error)
                print(f"mlnb serve: {told}", file=sys.stderr, flush=True)


def point(pointer: Path, folder: Path) -> bool:
    """Write where the model is, whole; return whether that was news."""
    text = f"{folder.absolute()}\n"
    if pointer.exists() and pointer.read_text("utf-8") == text:
        return False
    write_whole(pointer, text.encode())
    return True
