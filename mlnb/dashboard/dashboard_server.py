"""Serves the dashboard on this machine until Ctrl-C."""

import secrets
import shutil
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from mlnb.dashboard.access_control import PARAMETER
from mlnb.dashboard.application import create_application
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.project import Project
from mlnb.errors import UsageError

HOST = "127.0.0.1"
PORT = 8790  # the first that is tried
TRIED = 20  # ports
STOPPING = 2  # seconds that requests in progress have at the end


def listen(port: int | None) -> socket.socket:
    """Return a socket that listens on this machine.

    Args:
        port: The port, 0: a free one; None: the first free one from `PORT` on.

    Raises:
        UsageError: The port is out of range or in use.
    """
    if port is not None and not 0 <= port < 65536:
        raise UsageError(f"--port is {port}; expected 1 to 65535, or 0 for a free one.")
    problem: str | None = ""
    wanted = [*range(PORT, PORT + TRIED), 0] if port is None else [port]
    for number in wanted:
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((HOST, number))
            opened.listen()
        except OSError as error:
            opened.close()
            problem = error.strerror
            continue
        return opened
    raise UsageError(f"--port {port}: {problem}. Use another one, or none: the first free one is used.")


def serve(projects: Sequence[Project], port: int | None, started: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        projects: The projects that the dashboard shows.
        port: As for `listen`.
        started: Called with the address, token included, when the dashboard can be opened.

    Raises:
        UsageError: The port is out of range or in use.
    """
    warnings.filterwarnings("ignore", module=r"optuna\.")  # optuna-dashboard rates parameters by few trials, too
    opened, token = listen(port), secrets.token_urlsafe(32)
    with opened:
        address = f"http://{HOST}:{opened.getsockname()[1]}/?{PARAMETER}={token}"
        server = create_server(create_application(projects, token))
        threading.Thread(target=_report, args=(server, started, address), daemon=True).start()
        server.run(sockets=[opened])


def create_server(application: Starlette) -> uvicorn.Server:
    """Return a server that prints nothing but errors: addresses have the token."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="error",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STOPPING,
        )
    )


def _report(server: uvicorn.Server, started: Callable[[str], None], address: str) -> None:
    """Wait until the server answers, then report its address."""
    while not (server.started or server.should_exit):
        threading.Event().wait(0.02)
    if server.started:
        started(address)


@contextmanager
def forwarding_file() -> Iterator[Callable[[str], Path]]:
    """Yield what writes a private page that leads to an address; it is deleted at the end.

    A browser is started with the page's path: every user of this machine can read command lines, and with them a token.
    """
    folder = Path(tempfile.mkdtemp(prefix="mlnb-ui-"))

    def write(address: str) -> Path:
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}"><title>mlnb</title>'
        path = folder / "open.html"
        write_whole(path, page.encode(), PRIVATE)
        return path

    try:
        yield write
    finally:
        shutil.rmtree(folder, ignore_errors=True)
