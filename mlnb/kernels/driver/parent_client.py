"""Finding the warm parent of this project, interpreter and environment, or starting it, and asking it for something."""

import contextlib
import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlnb.errors import KernelDied
from mlnb.kernels.protocol import os_helpers, parent_paths
from mlnb.kernels.protocol.wire import Wire, request

TRIES = 4  # a parent may start anew a few times while it learns which imports it must leave alone


class NoParent(KernelDied):
    """No warm parent can be had; the text says why, and the standard engine takes over."""


def possible() -> str | None:
    """Return why this system cannot fork kernels, or None when it can."""
    if sys.platform != "linux":
        return f"kernels are forked on Linux only, this is {sys.platform}"
    if not hasattr(os, "pidfd_open"):
        return "this Python cannot watch other processes (os.pidfd_open)"
    return None


def connect(place: parent_paths.Place, start: parent_paths.Settings | None) -> socket.socket | None:
    """Return a connection to a place's parent; one is started with `start`, None returned without."""
    if start is not None:
        place.prepare()
    try:
        descriptor = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        connection = _try(place.address(descriptor))
        if connection is None and start is not None:
            with _locked(place.lock):
                connection = _try(place.address(descriptor))
                if connection is None:
                    _start(place, start, place.address(descriptor))
                    connection = _try(place.address(descriptor))
        return connection
    finally:
        os.close(descriptor)


def _try(address: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        return None
    return connection


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(place: parent_paths.Place, start: parent_paths.Settings, address: str) -> None:
    """Start a parent on a socket that listens already, so that nobody has to wait until it is ready to listen."""
    import subprocess  # a kernel that finds its parent is there sooner without

    place.socket.unlink(missing_ok=True)  # stale: nobody answers there
    with socket.socket(socket.AF_UNIX) as listener, place.log.open("ab") as log:
        os.chmod(place.log, 0o600)
        listener.bind(address)
        os.chmod(place.socket, 0o600)
        listener.listen(128)
        arguments = [str(place.folder), place.key, str(listener.fileno()), str(start.idle), " ".join(start.never)]
        started = subprocess.run(
            [sys.executable, *os_helpers.flags(), "-m", "mlnb.kernels.server.warm_parent", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            check=False,
        )
    if started.returncode:
        raise NoParent(f"the warm parent did not start (exit code {started.returncode}); its words are in {place.log}")


def ask(place: parent_paths.Place, asked: dict[str, Any], timeout: float = 10.0) -> dict[str, Any] | None:
    """Return a running parent's answer; None when none runs or it does not answer."""
    connection = connect(place, None)
    if connection is None:
        return None
    connection.settimeout(timeout)
    wire = Wire(connection)
    try:
        request(connection, asked, [])
        message = wire.receive()
    except OSError:
        return None
    finally:
        wire.close()
    return dict(json.loads(message[1][0])) if message else None


def kernel(
    place: parent_paths.Place, start: parent_paths.Settings | None, asked: dict[str, Any], timeout: float
) -> tuple[Wire, dict[str, Any]]:
    """Return the connection to a new kernel, and what it said: its `pid`, and the `state` that it goes on from, if any.

    Raises:
        NoParent: no parent could be started, or it ended twice, or no kernel came in time.
    """
    why = "it ended without a word"
    for _ in range(TRIES):
        connection = connect(place, start)
        if connection is None:
            raise NoParent(f"nothing answers at {place.socket}")
        wire = Wire(connection)
        try:
            connection.settimeout(timeout)
            request(connection, asked, _streams())
            while (message := wire.receive()) is not None:
                channel, parts = message
                if channel == b"h":
                    connection.settimeout(None)
                    return wire, dict(json.loads(parts[0]))
                if channel == b"a":
                    answer = json.loads(parts[0])
                    if "again" in answer:
                        why = answer["again"]
                        break
                    connection.settimeout(None)  # queued: as long as it takes
        except TimeoutError:
            why = f"no kernel came within {timeout:g} s"
        except OSError as error:
            why = str(error)
        wire.close()
    raise NoParent(f"the warm parent gives no kernel: {why}; its words are in {place.log}")


def _streams() -> list[int]:
    """Return the descriptors that become the kernel's own output and error: this process's."""
    found = []
    for descriptor in (1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            return []
        found.append(descriptor)
    return found
