"""`mlnb serve`: a run's model answers predictions over HTTP."""

import argparse
import json

from mlnb.engine.project import Project
from mlnb.errors import ServingError
from mlnb.registry.registry import meant
from mlnb.serving.bundles import curl
from mlnb.serving.servers import serving
from mlnb.serving.stores import last_lines
from mlnb.serving.winners import LATEST, build_winner, find_winner


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb serve`."""
    p.add_argument("run", nargs="?", default=LATEST, help="a run, or a version: @champion (default: newest proven run)")
    p.add_argument("--port", type=int, default=3000, help="port to listen on (default: %(default)s)")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, loopback)")
    p.add_argument("--workers", type=int, default=1, help="processes that answer (default: %(default)s)")
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = (
        "examples:\n  mlnb serve\n  mlnb serve 20260102-0304 --port 8080\n"
        "  mlnb serve --host 0.0.0.0 --workers 2    for other machines too\n\n"
        "Routes: POST /predict, GET /livez, /readyz, /metrics, /docs.json. Ctrl-C stops it."
    )


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    project = Project.find()
    run = find_winner(project, meant(project, args.run))
    bundle, built = build_winner(run)
    log = project.store_root / "serve" / f"{args.port}.log"
    golden = json.loads((bundle.folder / "model" / "golden.json").read_text("utf-8"))
    with serving(built.path, log, args.host, args.port, args.workers) as server:
        try:
            server.wait()
            print(f"{built.tag} of run {run.id} answers on {server.address}  (log: {log})\n")
            print(f"  {curl(golden, args.port, server.reachable)}\n\nCtrl-C stops it.", flush=True)
            code = server.process.wait()
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0
    raise ServingError(f"The service ended with {code}, not asked to:\n{last_lines(server.said())}")
