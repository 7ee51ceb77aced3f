"""Machines with Dask workers: network namespaces with folders that no other machine sees; for benchmarks.

Without root, they are this machine with separate folders.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from database_server import run_postgresql

MLNB = [sys.executable, "-m", "mlnb.cli.main"]
BRIDGE, NETWORK = "mlnbbench", "10.213.77"


class Machine:
    """A machine with a worker: a network namespace, or this machine with other folders."""

    def __init__(self, name: str, number: int, folder: Path, url: str, spaces: bool) -> None:
        self.name = name
        self.url = url
        self.log = folder / f"{name}.log"
        self.home = folder / name
        self.home.mkdir()
        self._spaces = spaces
        self.link = f"{BRIDGE}{number}"
        if spaces:
            self._delete()  # that of a benchmark that was killed
            run(f"ip netns add {name}")
            run(f"ip link add {self.link} type veth peer name eth0 netns {name}")
            run(f"ip link set {self.link} master {BRIDGE} up")
            for command in (f"addr add {NETWORK}.{number + 1}/24 dev eth0", "link set eth0 up", "link set lo up"):
                run(f"ip netns exec {name} ip {command}")
        self.prefix = ["ip", "netns", "exec", name] if spaces else []  # of a command on this machine
        self.worker: subprocess.Popen[bytes] | None = None

    def join(self) -> None:
        """Start a worker, and wait until it has joined."""
        home = str(self.home)
        before = self.joined()
        script = f"mount -t tmpfs tmpfs {home} && exec {' '.join(MLNB)} worker --on {self.url}"
        inside = [*self.prefix, "unshare", "--mount", "sh", "-c", script]
        command = inside if self._spaces else [*MLNB, "worker", "--on", self.url]
        variables = {**os.environ, "HOME": home, "XDG_CACHE_HOME": f"{home}/cache", "MLNB_ACTOR": self.name}
        with self.log.open("ab") as log:
            self.worker = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait(lambda: self.joined() > before, f"{self.name} to join")

    def joined(self) -> int:
        """Return how often a worker has joined so far."""
        return self.log.read_text().count("has joined") if self.log.exists() else 0

    def owns(self, process: str) -> bool:
        """Return whether a process was started by the worker, directly or not."""
        with suppress(OSError):
            return f"HOME={self.home}".encode() in Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the worker."""
        assert self.worker is not None
        self.worker.send_signal(number)
        if number == signal.SIGKILL:
            self.worker.wait()

    def cut(self, down: bool) -> None:
        """Cut the link of the machine, or restore it."""
        run(f"ip link set {self.link} {'down' if down else 'up'}")

    def leave(self) -> None:
        """End the worker."""
        if self.worker is not None and self.worker.poll() is None:
            self.worker.send_signal(signal.SIGCONT)
            self.worker.terminate()
            try:
                self.worker.wait(20)
            except subprocess.TimeoutExpired:
                self.worker.kill()

    def end(self) -> None:
        """End the worker and the namespace."""
        self.leave()
        if self._spaces:
            self._delete()

    def _delete(self) -> None:
        for command in (f"ip link del {self.link}", f"ip netns del {self.name}"):
            subprocess.run(command.split(), capture_output=True, check=False)


def run(command: str) -> None:
    """Run a command of the system; raises when it fails."""
    subprocess.run(command.split(), check=True)


def wait(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Wait for a condition. Raises `TimeoutError`."""
    latest = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > latest:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


@contextmanager
def bridge(spaces: bool) -> Iterator[str]:
    """Yield the address that all machines reach."""
    if not spaces:
        yield "127.0.0.1"
        return
    run(f"ip link add {BRIDGE} type bridge")
    run(f"ip addr add {NETWORK}.1/24 dev {BRIDGE}")
    run(f"ip link set {BRIDGE} up")
    try:
        yield f"{NETWORK}.1"
    finally:
        run(f"ip link del {BRIDGE}")


@contextmanager
def database(host: str) -> Iterator[str]:
    """Yield the URL of a PostgreSQL server, which is reached through a port of `host`."""
    with run_postgresql() as (_, folder), socket.create_server((host, 0)) as listener:
        path = next(folder.rglob(".s.PGSQL.*[0-9]"))

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                target = socket.socket(socket.AF_UNIX)
                target.connect(str(path))
                for pair in ((client, target), (target, client)):
                    threading.Thread(target=relay, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"postgresql+psycopg://postgres@{host}:{listener.getsockname()[1]}/postgres"
        finally:
            listener.close()


def relay(source: socket.socket, target: socket.socket) -> None:
    """Copy bytes until a side ends."""
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
