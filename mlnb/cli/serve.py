"""`mlnb serve`: serve a run's model over HTTP."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ServingError, UsageError
from mlnb.methods.tables.pseudonyms import Protection
from mlnb.monitoring.monitoring_paths import log_environment
from mlnb.registry.run_references import run_reference
from mlnb.serving.packaging.bento_server import Server, free_port, serving
from mlnb.serving.packaging.bento_stores import last_lines
from mlnb.serving.packaging.bundles import curl
from mlnb.serving.packaging.packaged_runs import LATEST, build_packaged_run, find_packaged_run, use_project_files
from mlnb.serving.packaging.tls_certificates import Certificates
from mlnb.settings import ProcessSettings, ServiceSettings

POLL = 1.0  # seconds between two resolutions of the references
PATIENCE = 40.0  # seconds until the requests in progress must be complete
ROLES = {".follow": "serving", ".shadow": "shadow deployment of", ".canary": "canary deployment of"}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb serve`."""
    p.add_argument(
        "run", nargs="?", default=LATEST, help="run, or version such as @champion (default: newest verified run)"
    )
    p.add_argument("--port", type=int, default=3000, help="port to listen on, 0: a free one (default: %(default)s)")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    p.add_argument("--workers", type=int, default=1, help="number of server processes (default: %(default)s)")
    p.add_argument("--follow", action="store_true", help="switch to the new model when the alias or newest run changes")
    p.add_argument("--shadow", metavar="VERSION", help="shadow model: its responses are logged, not returned")
    p.add_argument("--canary", metavar="VERSION", help="canary model: serves --share of the keys until it fails")
    p.add_argument("--share", type=float, default=0.1, help="share of the canary, up to 0.5 (default: %(default)s)")
    p.add_argument("--allow-anonymous", action="store_true", help="accept requests without a key on any address")
    p.add_argument("--tls-certificate", type=Path, metavar="FILE", help="certificate (PEM): serve HTTPS")
    p.add_argument("--tls-key", type=Path, metavar="FILE", help="private key (PEM) of the certificate")
    p.add_argument("--tls-clients", type=Path, metavar="FILE", help="accept clients with a certificate of these (PEM)")
    p.add_argument("--no-log", action="store_true", help="write no prediction log")
    p.epilog = (
        "examples:\n  mlnb serve\n  mlnb serve 20260102-0304 --port 8080\n"
        "  mlnb serve @champion --follow             switch to a promoted version without losing requests\n"
        "  mlnb serve @champion --follow --canary @challenger --share 0.2\n"
        "  MLNB_API_KEY=... mlnb serve --host 0.0.0.0 --workers 2    accept requests of other machines\n"
        "  mlnb serve --tls-certificate service.pem --tls-key service.key    serve HTTPS\n\n"
        "References of a shadow or canary are resolved continuously; one that refers to no version is ignored.\n"
        "Routes: POST /predict, GET /livez, /readyz, /metrics, /docs.json. Ctrl-C stops the server."
    )


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0."""
    if args.workers < 1:
        raise UsageError(f"--workers is {args.workers}; expected 1 or more.")
    if not 0 <= args.port < 65536:
        raise UsageError(f"--port is {args.port}; expected 1 to 65535, or 0 for a free one.")
    project = Project.find()
    run = find_packaged_run(project, run_reference(project, args.run))
    bundle, built = build_packaged_run(run)
    certificates = Certificates.from_options(args.tls_certificate, args.tls_key, args.tls_clients)
    host = "127.0.0.1" if args.host == "localhost" else args.host
    port = args.port or free_port(host)
    log = project.store_root / "serve" / f"{port}.log"
    if not 0 < args.share <= 0.5:
        raise UsageError(f"--share is {args.share:g}; expected above 0 and at most 0.5.")
    references = {"follow": args.run if args.follow else None, "shadow": args.shadow, "canary": args.canary}
    pointers = {log.with_suffix(f".{name}"): reference for name, reference in references.items() if reference}
    for pointer in pointers:
        pointer.unlink(missing_ok=True)
        os.environ[ServiceSettings.declared()[pointer.suffix[1:]].variable] = str(pointer)
    if args.canary:
        os.environ[ServiceSettings.canary_share.variable] = str(args.share)
    if args.follow:
        write_pointer(log.with_suffix(".follow"), bundle.folder)
    reported = update_pointers(project, pointers, {})
    if args.allow_anonymous:
        os.environ[ServiceSettings.allow_anonymous.variable] = "1"
    if not args.no_log:
        for name, value in log_environment(project, bundle.name).items():
            os.environ.setdefault(name, value)
    check_personal_key(bundle.protection())
    use_project_files(project)
    example = bundle.read_example()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with serving(built.path, log, host, port, args.workers, certificates=certificates) as server:
        try:
            server.wait()
            print(f"{built.tag} of run {run.id} serves on {server.address}  (log: {log})\n")
            request = curl(example, server.address, curl_options(certificates))
            request = f"  {request}\n\n" if example.rows else ""
            print(f"{request}Ctrl-C stops the server.", flush=True)
            code = wait(server, project, pointers, reported)
        except KeyboardInterrupt:
            server.stop(PATIENCE)
            print("\nStopped.")
            return 0
    raise ServingError(f"The service ended unexpectedly with exit code {code}:\n{last_lines(server.output())}")


def curl_options(certificates: Certificates | None) -> list[str]:
    """Return the options of curl for a service that needs a key, which is not shown, or has a certificate."""
    variable = ServiceSettings.api_key.variable
    options = [f'-H "Authorization: Bearer ${{{variable}%%,*}}"'] if ServiceSettings().api_key else []
    return options + ([f"--cacert {shlex.quote(str(certificates.certificate))}"] if certificates else [])


def check_personal_key(protection: Protection) -> None:
    """Print a warning when pseudonyms need a key and there is none: clients may send pseudonyms.

    Raises:
        SettingsError: the key is another one than that of training, or too short.
    """
    variable = ProcessSettings.personal_key.variable
    if protection.pseudonymized and not ProcessSettings().personal_key:
        columns = ", ".join(protection.pseudonymized)
        print(
            f"mlnb serve: {variable} is not set: requests with values of {columns} are refused, unless they are "
            f"pseudonyms. Set {variable} to the key of training.",
            file=sys.stderr,
        )
    else:
        protection.check()


def wait(server: Server, project: Project, pointers: Mapping[Path, str], reported: dict[Path, str]) -> int:
    """Return the server's exit code when it ends; until then update the pointers and rotate the log."""
    while True:
        try:
            return server.process.wait(POLL)
        except subprocess.TimeoutExpired:
            reported = update_pointers(project, pointers, reported)
            server.rotate_log()


def update_pointers(project: Project, pointers: Mapping[Path, str], reported: Mapping[Path, str]) -> dict[Path, str]:
    """Write the model that each reference refers to now into its pointer; return the errors.

    Args:
        project: The project.
        pointers: The reference of each pointer file.
        reported: Errors that were printed before, which are not printed again.
    """
    errors = {}
    for pointer, reference in pointers.items():
        try:
            run = find_packaged_run(project, run_reference(project, reference))
            if write_pointer(pointer, run.load("service")):
                print(f"{ROLES[pointer.suffix]} run {run.id}", flush=True)
        except MlnbError as error:  # a locked registry or a deleted run: the old model stays
            errors[pointer] = f"mlnb serve: {reference}: {error}"
            if reported.get(pointer) != errors[pointer]:
                print(errors[pointer], file=sys.stderr, flush=True)
    return errors


def write_pointer(pointer: Path, folder: Path) -> bool:
    """Write the folder of a model into a pointer file; return whether it changed."""
    text = f"{folder.absolute()}\n"
    if pointer.exists() and pointer.read_text("utf-8") == text:
        return False
    write_whole(pointer, text.encode())
    return True
