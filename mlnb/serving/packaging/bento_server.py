"""A built bento, served from its own files by a process that never outlives the one that asked for it."""

import http.client
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from mlnb.errors import ServingError, UsageError
from mlnb.serving.packaging.bento_stores import last_lines, quiet_environment
from mlnb.serving.runtime.access import check_exposure

LAUNCHER = Path(__file__).with_name("bento_launcher.py")
CRASHED = "Application startup failed"  # of a worker; its supervisor would start it again and again


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    host: str
    port: int
    log: Path

    @property
    def reachable(self) -> str:
        """The address to ask from this machine."""
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://{self.reachable}:{self.port}"

    def wait(self, path: str = "/readyz", seconds: float = 60.0) -> None:
        """Return when `path` answers 200; `ServingError` with the end of the log if it dies or is late."""
        deadline = time.monotonic() + seconds
        status = 0
        while time.monotonic() < deadline:
            if self.process.poll() is not None or CRASHED in self.said():
                raise ServingError(f"The service ended before it answered. It said:\n{self._tail()}")
            try:
                status, _, _ = call(self.reachable, self.port, "GET", path, timeout=5)
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                return
            time.sleep(0.05)
        said = f"{path} answered {status}" if status else f"{path} did not answer"
        raise ServingError(f"The service was not ready after {seconds:.0f} s: {said}, expected 200.\n{self._tail()}")

    def stop(self, patience: float = 5.0) -> None:
        """End the server and every process that it started."""
        family = _family(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def said(self) -> str:
        """Return all that the server has printed."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def _tail(self) -> str:
        return last_lines(self.said())


@dataclass(frozen=True)
class Launch:
    """A process that has BentoML at hand and waits for a bento to serve.

    Attributes:
        own: folder of the log when it is nobody else's.
    """

    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    log: Path
    own: Path | None = None

    def serve(self, bento: Path, host: str, port: int, workers: int) -> Server:
        """Return the server that it becomes, perhaps not ready yet."""
        name = yaml.safe_load((bento / "bento.yaml").read_text("utf-8"))["entry_service"]
        # `--api-workers` does nothing
        options = [self.environment.get("BENTOML_CONFIG_OPTIONS", ""), f"services.{name}.workers={workers}"]
        asked = {
            "environment": {"BENTOML_CONFIG_OPTIONS": " ".join(options).strip()},
            "folder": str(bento.absolute()),
            "arguments": ["serve", str(bento.absolute()), "--host", host, "--port", str(port)],
        }
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as told:  # one that has ended is met by who waits for it
            told.write(json.dumps(asked).encode() + b"\n")
        return Server(self.process, host, port, self.log)


def launch(log: Path | None = None, extra: Mapping[str, str] | None = None) -> Launch:
    """Return a process that imports BentoML while its bento may still be built; it ends when this one does.

    It prints to `log`, or to a file in a folder of its own; `extra` are variables beside this process's own.
    """
    own = None if log else Path(tempfile.mkdtemp(prefix="mlnb-service-"))
    log = log or Path(str(own), "service.log")
    environment = quiet_environment() | dict(extra or {})
    log.parent.mkdir(parents=True, exist_ok=True)
    # BentoML empties the counters in its home when a server starts: each server has a home of its own.
    environment["BENTOML_HOME"] = str(log.absolute().with_suffix(".home"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", str(LAUNCHER), str(psutil.Process().pid), *([str(own)] if own else [])],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Launch(process, environment, log, own)


@contextmanager
def serving(
    bento: Path,
    log: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve the bento in a folder while inside; `port` None means any free one; it prints to `log`."""
    server = start(bento, log, host, free_port(host) if port is None else port, workers, environment)
    try:
        yield server
    finally:
        server.stop()


def start(
    bento: Path, log: Path, host: str, port: int, workers: int = 1, extra: Mapping[str, str] | None = None
) -> Server:
    """Return a bento's server, started but perhaps not ready yet.

    Raises `UsageError` when the port is taken, or when anyone on the network could ask, unasked for.

    Args:
        bento: folder of the built bento.
        log: file that it prints to.
        extra: variables beside this process's own.
    """
    check_exposure(host, quiet_environment() | dict(extra or {}))
    check_port(host, port)
    return launch(log, extra).serve(bento, host, port, workers)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raise `UsageError` when a server cannot listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"Cannot listen on {host}:{port} ({error}). Choose another port: mlnb serve --port {port + 1}"
            ) from error


def call(
    host: str, port: int, method: str, path: str, value: Any = None, timeout: float = 60
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers (names in small letters) of one request; `value` is sent as JSON."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        body = None if value is None else json.dumps(value).encode()
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): text for name, text in response.getheaders()}
    finally:
        connection.close()


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []
