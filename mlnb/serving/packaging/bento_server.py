"""A built bento, served from its files by a process that never outlives the one that started it."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from mlnb.codec import Json
from mlnb.errors import ServingError, UsageError
from mlnb.serving.packaging.bento_stores import bentoml_environment, last_lines, run_in_fork
from mlnb.serving.packaging.tls_certificates import Certificates
from mlnb.serving.runtime.access import check_exposure

LAUNCHER = Path(__file__).with_name("bento_launcher.py")
LONGEST_LOG = 10_000_000  # bytes that are kept of what a server prints, and once more of what it printed before
CRASHED = "Application startup failed"  # in the log of a worker that its supervisor would restart forever


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        process: BentoML's command.
        host: address that it listens on.
        port: port that it listens on.
        log: file that it prints to.
        certificates: of HTTPS; None: HTTP.
    """

    process: "subprocess.Popen[bytes]"
    host: str
    port: int
    log: Path
    certificates: Certificates | None = None

    @property
    def reachable(self) -> str:
        """The address that clients on this machine use."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def address(self) -> str:
        """The URL of the service."""
        host = f"[{self.reachable}]" if ":" in self.reachable else self.reachable
        return f"{'https' if self.certificates else 'http'}://{host}:{self.port}"

    def wait(self, path: str = "/readyz", seconds: float = 60.0) -> None:
        """Return when `path` responds with 200.

        Raises:
            ServingError: the server ended, or did not respond in time; the message is the end of its log.
        """
        deadline = time.monotonic() + seconds
        status = 0
        while time.monotonic() < deadline:
            if self.process.poll() is not None or CRASHED in self.output():
                raise ServingError(f"The service ended before it was ready. Its log ends with:\n{self._tail()}")
            status = self._status(path)
            if status == 200:
                return
            time.sleep(0.05)
        state = f"{path} returned {status}" if status else f"{path} did not respond"
        raise ServingError(f"The service was not ready after {seconds:.0f} s: {state}, expected 200.\n{self._tail()}")

    def _status(self, path: str) -> int:
        """Return the status of a path; 0 without a response."""
        tls = self.certificates.probe() if self.certificates else None
        try:
            if tls is not None and self.certificates and self.certificates.clients:
                # The probe has no certificate. A worker listens once it is ready: it is enough that it talks.
                with socket.create_connection((self.reachable, self.port), 5) as raw, tls.wrap_socket(raw):
                    return 200
            return send_request(self.reachable, self.port, "GET", path, timeout=5, tls=tls)[0]
        except ssl.SSLError:
            return 200 if self.certificates and self.certificates.clients else 0
        except (OSError, http.client.HTTPException):
            return 0

    def stop(self, patience: float = 5.0) -> None:
        """End the server and every process that it started; kill them after `patience` seconds."""
        family = _family(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()

    def output(self) -> str:
        """Return all that the server has printed."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def rotate_log(self) -> None:
        """Move what the server has printed to `<log>.1` when it is long; the server goes on in the same file."""
        if self.log.exists() and self.log.stat().st_size > LONGEST_LOG:
            copy = self.log.with_name(f"{self.log.name}.1")
            with open(copy, "wb", opener=_open_private) as target, self.log.open("rb") as source:
                shutil.copyfileobj(source, target)
            os.truncate(self.log, 0)  # the server appends

    def _tail(self) -> str:
        return last_lines(self.output())


@dataclass(frozen=True)
class Launcher:
    """A process that has imported BentoML and waits for a bento to serve.

    Attributes:
        process: the waiting process.
        environment: of that process.
        log: file that it prints to.
        own: temporary folder of the log and of the process; None when the caller named the log.
    """

    process: "subprocess.Popen[bytes]"
    environment: dict[str, str]
    log: Path
    own: Path | None = None

    def run(self, program: Path, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str] | None":
        """Run a program that uses BentoML in a fork of the process; None where the process has ended.

        Args:
            program: a Python file.
            arguments: of its command line.
        """
        return run_in_fork(self.process, program, arguments)

    def serve(
        self, bento: Path, host: str, port: int, workers: int, certificates: Certificates | None = None
    ) -> Server:
        """Return the server that the process becomes; it may not be ready yet."""
        name = yaml.safe_load((bento / "bento.yaml").read_text("utf-8"))["entry_service"]
        # `--api-workers` has no effect
        config = [self.environment.get("BENTOML_CONFIG_OPTIONS", ""), f"services.{name}.workers={workers}"]
        options = {
            "environment": {"BENTOML_CONFIG_OPTIONS": " ".join(config).strip()},
            "folder": str(bento.absolute()),
            "arguments": [
                *("serve", str(bento.absolute()), "--host", host, "--port", str(port)),
                *(certificates.options() if certificates else ()),
            ],
        }
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as stdin:  # `Server.wait` reports one that has ended
            stdin.write(json.dumps(options).encode() + b"\n")
        return Server(self.process, host, port, self.log, certificates)


def start_launcher(log: Path | None = None, extra: Mapping[str, str] | None = None) -> Launcher:
    """Return a process that imports BentoML while its bento may still be built; it ends when this process does.

    Args:
        log: file that it prints to; None: one in a temporary folder.
        extra: environment variables in addition to those of this process.
    """
    own = None if log else Path(tempfile.mkdtemp(prefix="mlnb-service-"))
    log = log or Path(str(own), "service.log")
    environment = bentoml_environment() | dict(extra or {})
    log.parent.mkdir(parents=True, exist_ok=True)
    # BentoML deletes the metrics in its home when a server starts: each server has a separate home.
    environment |= {"BENTOML_HOME": str(log.absolute().with_suffix(".home")), **({"TMPDIR": str(own)} if own else {})}
    log.unlink(missing_ok=True)
    with open(log, "ab", opener=_open_private) as output:
        process = subprocess.Popen(
            [sys.executable, "-P", str(LAUNCHER), str(psutil.Process().pid), *([str(own)] if own else [])],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Launcher(process, environment, log, own)


@contextmanager
def serving(
    bento: Path,
    log: Path,
    host: str = "127.0.0.1",
    port: int | None = None,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    certificates: Certificates | None = None,
) -> Iterator[Server]:
    """Serve the bento in a folder inside a `with` block. Arguments and errors are those of `start_server`.

    Args:
        port: None: a free one.
    """
    port = free_port(host) if port is None else port
    server = start_server(bento, log, host, port, workers, environment, certificates)
    try:
        yield server
    finally:
        server.stop()


def start_server(
    bento: Path,
    log: Path,
    host: str,
    port: int,
    workers: int = 1,
    extra: Mapping[str, str] | None = None,
    certificates: Certificates | None = None,
) -> Server:
    """Return a bento's server, started but perhaps not ready yet.

    Args:
        bento: folder of the built bento.
        log: file that it prints to.
        host: address to listen on.
        port: port to listen on.
        workers: number of processes.
        extra: environment variables in addition to those of this process.
        certificates: of HTTPS; None: HTTP.

    Raises:
        UsageError: the port is in use, or the service would be open to other machines.
    """
    host = "127.0.0.1" if host == "localhost" else host  # BentoML takes addresses, no names
    check_exposure(host, bentoml_environment() | dict(extra or {}))
    check_port(host, port)
    return start_launcher(log, extra).serve(bento, host, port, workers, certificates)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that no process listens on."""
    with socket.socket(_family_of(host)) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def check_port(host: str, port: int) -> None:
    """Raise `UsageError` when a server cannot listen there."""
    with socket.socket(_family_of(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            other = port + 1 if port < 65535 else 3000
            message = f"Cannot listen on {host}:{port} ({error}). Choose another port, such as --port {other}"
            raise UsageError(message) from error


def send_request(
    host: str,
    port: int,
    method: str,
    path: str,
    value: Json = None,
    timeout: float = 60,
    tls: ssl.SSLContext | None = None,
) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers (names in lower case) of one request; `value` is sent as JSON."""
    if tls is None:
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
    else:
        connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=tls)
    try:
        body = None if value is None else json.dumps(value).encode()
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read(), {name.lower(): text for name, text in response.getheaders()}
    finally:
        connection.close()


def _open_private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return []
