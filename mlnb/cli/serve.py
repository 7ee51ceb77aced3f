"""`mlnb serve`: serve a run's model, or several models, over HTTP."""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from mlnb.cli.followed_models import FollowedModels
from mlnb.cli.selected_bento import add_options, build_selected, serves_several
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, ServingError, UsageError
from mlnb.monitoring.monitoring_paths import log_environment
from mlnb.registry.run_references import run_reference
from mlnb.serving.packaging.bento_server import Server, free_port, serving
from mlnb.serving.packaging.bento_stores import last_lines
from mlnb.serving.packaging.bundles import BentoSource, curl
from mlnb.serving.packaging.packaged_runs import LATEST, find_packaged_run, use_project_files
from mlnb.serving.packaging.tls_certificates import Certificates
from mlnb.settings import ProcessSettings, ServiceSettings

POLL = 1.0  # seconds between two resolutions of the references
PATIENCE = 40.0  # seconds until the requests in progress must be complete
ROLES = {".follow": "serving", ".shadow": "shadow deployment of", ".canary": "canary deployment of"}


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb serve`."""
    add_options(p)
    p.add_argument("--port", type=int, default=3000, help="port to listen on, 0: a free one (default: %(default)s)")
    p.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    p.add_argument("--workers", type=int, default=1, help="number of server processes (default: %(default)s)")
    p.add_argument("--follow", action="store_true", help="switch to the new model when the alias or newest run changes")
    p.add_argument("--allow-anonymous", action="store_true", help="accept requests without a key on any address")
    p.add_argument("--tls-certificate", type=Path, metavar="FILE", help="certificate (PEM): serve HTTPS")
    p.add_argument("--tls-key", type=Path, metavar="FILE", help="private key (PEM) of the certificate")
    p.add_argument("--tls-clients", type=Path, metavar="FILE", help="accept clients with a certificate of these (PEM)")
    p.add_argument("--no-log", action="store_true", help="write no prediction log")
    p.epilog = (
        "examples:\n  mlnb serve\n  mlnb serve 20260102-0304 --port 8080\n"
        "  mlnb serve @champion --follow             switch to a promoted version without losing requests\n"
        "  mlnb serve @champion --follow --canary @challenger --share 0.2\n"
        "  mlnb serve --all --follow                 one service of all models, each at its champion\n"
        "  mlnb serve --all --follow --canary @challenger    a canary for each model that has a challenger\n"
        "  mlnb serve --name 'churn-*' --fallback    the global model predicts segments without a model\n"
        "  MLNB_API_KEY=... mlnb serve --host 0.0.0.0 --workers 2    accept requests of other machines\n"
        "  mlnb serve --tls-certificate service.pem --tls-key service.key    serve HTTPS\n\n"
        "References of a shadow or canary are resolved continuously; one that refers to no version is ignored.\n"
        "Routes: POST /predict (and /recommend of an interaction log), GET /livez, /readyz, /metrics, /docs.json.\n"
        "Ctrl-C stops the server.\n"
        "Several models: POST /models/NAME/predict, or POST /predict with the segment of each row; GET /models lists\n"
        "them. Each is loaded when it is requested; MLNB_MODELS_MEMORY limits the memory of loaded models, in MB."
    )


def main(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 0."""
    if args.workers < 1:
        raise UsageError(f"--workers is {args.workers}; expected 1 or more.")
    if not 0 <= args.port < 65536:
        raise UsageError(f"--port is {args.port}; expected 1 to 65535, or 0 for a free one.")
    several = serves_several(args)
    project = Project.find()
    selected = build_selected(project, args, routed=True)
    source, built = selected.source, selected.built
    certificates = Certificates.from_options(args.tls_certificate, args.tls_key, args.tls_clients)
    host = "127.0.0.1" if args.host == "localhost" else args.host
    port = args.port or free_port(host)
    log = project.store_root / "serve" / f"{port}.log"
    update = follow(project, log, source, args, several)
    update()
    if args.allow_anonymous:
        os.environ[ServiceSettings.allow_anonymous.variable] = "1"
    if not args.no_log:
        for name, value in log_environment(project, "" if several else source.name).items():
            os.environ.setdefault(name, value)
    check_personal_key(source)
    use_project_files(project)
    requests = source.example_requests()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    with serving(built.path, log, host, port, args.workers, certificates=certificates) as server:
        try:
            server.wait()
            print(f"{built.tag} of {selected.origin} serves on {server.address}  (log: {log})\n")
            options = curl_options(certificates)
            shown = [f"  {curl(one, server.address, options, path)}" for path, one in requests.items()]
            print("\n".join([*shown, *([""] if shown else []), "Ctrl-C stops the server."]), flush=True)
            code = wait(server, update)
        except KeyboardInterrupt:
            server.stop(PATIENCE)
            print("\nStopped.")
            return 0
    raise ServingError(f"The service ended unexpectedly with exit code {code}:\n{last_lines(server.output())}")


def follow(
    project: Project, log: Path, source: BentoSource, args: argparse.Namespace, several: bool
) -> Callable[[], None]:
    """Name in the environment what the service follows: pointers, or a catalog of several models; return the update.

    Args:
        project: The project.
        log: Of the service; what it follows is next to it.
        source: What the service starts with.
        args: The options of the command.
        several: Whether the service has several models.
    """
    if several:
        if not (args.follow or args.canary or args.shadow):
            return lambda: None
        followed = FollowedModels(project, log.with_suffix(".models.json"), args)
        os.environ[ServiceSettings.models.variable] = str(followed.path)
        return followed.update
    references = {"follow": (args.run or LATEST) if args.follow else None, "shadow": args.shadow, "canary": args.canary}
    pointers = {log.with_suffix(f".{name}"): reference for name, reference in references.items() if reference}
    for pointer in pointers:
        pointer.unlink(missing_ok=True)
        os.environ[ServiceSettings.declared()[pointer.suffix[1:]].variable] = str(pointer)
    if args.canary:
        os.environ[ServiceSettings.canary_share.variable] = str(args.share)
    if args.follow:
        write_pointer(log.with_suffix(".follow"), source.folder)
    return FollowedPointers(project, pointers).update


def curl_options(certificates: Certificates | None) -> list[str]:
    """Return the options of curl for a service that needs a key, which is not shown, or has a certificate."""
    variable = ServiceSettings.api_key.variable
    options = [f'-H "Authorization: Bearer ${{{variable}%%,*}}"'] if ServiceSettings().api_key else []
    return options + ([f"--cacert {shlex.quote(str(certificates.certificate))}"] if certificates else [])


def check_personal_key(source: BentoSource) -> None:
    """Print a warning when pseudonyms need a key and there is none: clients may send pseudonyms.

    Raises:
        SettingsError: the key is another one than that of training, or too short.
    """
    variable = ProcessSettings.personal_key.variable
    if source.pseudonymized and not ProcessSettings().personal_key:
        columns = ", ".join(source.pseudonymized)
        print(
            f"mlnb serve: {variable} is not set: requests with values of {columns} are refused, unless they are "
            f"pseudonyms. Set {variable} to the key of training.",
            file=sys.stderr,
        )
        return
    for protection in source.protections():
        protection.check()


def wait(server: Server, update: Callable[[], None]) -> int:
    """Return the server's exit code when it ends; until then update what it follows and rotate the log."""
    while True:
        try:
            return server.process.wait(POLL)
        except subprocess.TimeoutExpired:
            update()
            server.rotate_log()


class FollowedPointers:
    """Writes the pointers of a service of one model whenever their references mean another one.

    Args:
        project: The project.
        pointers: The reference of each pointer file.
    """

    def __init__(self, project: Project, pointers: Mapping[Path, str]) -> None:
        self.project, self.pointers = project, pointers
        self.reported: dict[Path, str] = {}  # errors that were printed, which are not printed again

    def update(self) -> None:
        """Resolve the references again."""
        self.reported = update_pointers(self.project, self.pointers, self.reported)


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
