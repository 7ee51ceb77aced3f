"""A worker of a service: this process serves requests, as BentoML's program for workers does.

A supervisor starts workers with `serve_worker`. The only worker of a container needs no supervisor: `serve_alone`
serves without BentoML's command line, its search for GPUs and its second look at the bento. BentoML imports Circus, its
supervisor, in any case: with the package of the application that a worker serves.
"""

import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from _bentoml_impl.worker.service import main as serve_as_worker
from bentoml._internal import log
from bentoml._internal.configuration.containers import BentoMLContainer

from mlnb.serving.runtime.structured_logs import configure_logging

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # variable of prometheus_client
STARTED = 'Starting production HTTP BentoServer from "%s" listening on http://%s:%d (Press CTRL+C to quit)'  # BentoML's
alone = False  # whether this process was started without a supervisor


class NeedsSupervisor(Exception):
    """A service that was started alone has several workers, or what only `bentoml serve` sets up."""


def serve_worker(arguments: Sequence[str], environment: Mapping[str, str], folder: str | None) -> None:
    """Serve requests in this process, until a signal.

    Args:
        arguments: of BentoML's program for workers.
        environment: variables that are added to those of this process.
        folder: that becomes the working directory; None: it stays.
    """
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(environment)
    if folder:
        os.chdir(folder)
    log.configure_server_logging = configure_logging
    for number in (signal.SIGINT, signal.SIGTERM):  # before uvicorn handles them, and once it has ended
        signal.signal(number, _end)
    serve_as_worker(list(arguments), standalone_mode=False)


def serve_alone(bento: Path) -> None:
    """Serve a bento as `bentoml serve` does without options, with one worker: this process.

    Args:
        bento: folder of the built bento.

    Raises:
        OSError: the port is in use.
        NeedsSupervisor: this process cannot serve it alone; nothing listens.
    """
    global alone
    alone = True
    host, port = str(BentoMLContainer.http.host.get()), int(BentoMLContainer.http.port.get())
    folder = clean_folder(Path(BentoMLContainer.prometheus_multiproc_dir.get()))
    with socket.socket() as listening:  # uvicorn listens once the service is ready
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        log.configure_server_logging()  # type: ignore[no-untyped-call]  # levels, before lines become JSON
        configure_logging()
        logging.getLogger("bentoml.serve").info(STARTED, bento, "localhost" if host == "0.0.0.0" else host, port)
        descriptor = os.dup(listening.fileno())
    try:
        serve_worker(
            [str(bento), "--fd", str(descriptor), "--worker-id", "1"], {METRICS_FOLDER: str(folder)}, str(bento)
        )
    except NeedsSupervisor:
        os.close(descriptor)
        raise


def clean_folder(folder: Path) -> Path:
    """Return an empty folder for the metrics: this one, or a temporary one where this one cannot be made."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp())
    return folder


def check_alone(service: Any) -> None:
    """Check that a service that was started alone has one worker, and nothing that only `bentoml serve` sets up.

    Args:
        service: of BentoML, loaded from its bento.

    Raises:
        NeedsSupervisor: it does not.
    """
    if alone and needs_supervisor(service):
        raise NeedsSupervisor


def needs_supervisor(service: Any) -> bool:
    """Return whether a service has several workers, or anything that BentoML's command sets up before workers start."""
    config = service.config
    several = config.get("workers") not in (None, 1) or "gpu" in (config.get("resources") or {})
    hooks = (getattr(getattr(service.inner, name), "__bentoml_deployment_hook__", False) for name in dir(service.inner))
    variables = (entry.name for entry in service.envs if entry.stage != "build")
    return (
        several
        or len(service.all_services()) > 1
        or bool(service.models)
        or service.needs_task_db()
        or any(hooks)
        or any(name not in os.environ for name in variables)
    )


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
