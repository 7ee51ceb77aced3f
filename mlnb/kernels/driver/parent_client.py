"""Finds the warm parent of this project, interpreter and environment, or starts it, and sends it requests."""

import contextlib
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from mlnb.errors import KernelDied
from mlnb.kernels.driver.parent_health import ParentHealth
from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.messages import (
    DropSnapshots,
    ExitStatus,
    GetExitStatus,
    GetStatus,
    KernelReady,
    MessageError,
    ParentStatus,
    Refused,
    Request,
    Response,
    Restarting,
    ResumedKernel,
    StartKernel,
    StopParent,
    Stopped,
    decode,
    decode_response,
)
from mlnb.kernels.protocol.parent_paths import KernelSettings, ParentPaths
from mlnb.kernels.protocol.wire import READY, RESPONSE, FrameSocket, send_request

ATTEMPTS = 4  # a parent may restart a few times while it finds out which imports it must not preload
RESPONSE_SECONDS = 10.0
LONGEST_LOG = 1_000_000  # bytes of the log of parents; when one starts, a longer log is moved to <log>.1
R = TypeVar("R", bound=Response)


class ParentUnavailable(KernelDied):
    """No kernel can be forked; the text is the reason, and the standard engine takes over."""


def unsupported_reason() -> str | None:
    """Return why this system cannot fork kernels, or None when it can."""
    if sys.platform != "linux":
        return f"kernels are forked on Linux only, this is {sys.platform}"
    if not hasattr(os, "pidfd_open"):
        return "this Python cannot watch other processes (os.pidfd_open)"
    return None


def connect(paths: ParentPaths, start: KernelSettings | None) -> socket.socket | None:
    """Return a connection to a parent.

    Args:
        paths: where it listens.
        start: settings to start one with when none listens; without them, the result is then None.
    """
    connection = _try_connect(paths)
    if connection is not None or start is None:
        return connection
    try:
        paths.prepare()
        with _locked(paths.lock_path):
            connection = _try_connect(paths)
            if connection is None:
                _start(paths, start)
                connection = _try_connect(paths)
    except OSError as error:
        raise ParentUnavailable(f"the warm parent cannot be started in {paths.folder}: {error}") from error
    return connection


def _try_connect(paths: ParentPaths) -> socket.socket | None:
    try:
        return paths.connect()
    except OSError:
        return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start(paths: ParentPaths, start: KernelSettings) -> None:
    """Start a parent on a socket that already listens, so that nobody waits until it does."""
    import subprocess  # not needed, and slow to import, when the parent runs

    paths.socket_path.unlink(missing_ok=True)  # stale: nobody listens
    if paths.log_path.exists() and paths.log_path.stat().st_size > LONGEST_LOG:
        paths.log_path.replace(paths.log_path.with_suffix(".log.1"))
    folder = os.open(paths.folder, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener, paths.log_path.open("ab") as log:
        os.chmod(paths.log_path, 0o600)
        listener.bind(paths.address(folder))
        os.close(folder)
        os.chmod(paths.socket_path, 0o600)
        listener.listen(128)
        arguments = [str(paths.folder), paths.key, str(listener.fileno()), str(start.idle_seconds)]
        started = subprocess.run(
            [
                *(sys.executable, *compat.interpreter_flags(), "-m", "mlnb.kernels.server.warm_parent"),
                *(*arguments, " ".join(start.never_preload)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
            check=False,
        )
    if started.returncode:
        raise ParentUnavailable(f"the warm parent did not start (exit code {started.returncode}); see {paths.log_path}")


def request_response(
    paths: ParentPaths, request: Request, kind: type[R], timeout: float = RESPONSE_SECONDS
) -> R | None:
    """Return a running parent's response; None when none runs or it does not respond within `timeout` seconds."""
    connection = connect(paths, None)
    if connection is None:
        return None
    connection.settimeout(timeout)
    frames = FrameSocket(connection)
    try:
        send_request(connection, request, [])
        frame = frames.receive()
        return decode(frame[1][0], kind) if frame else None
    except (OSError, MessageError):
        return None
    finally:
        frames.close()


def get_status(paths: ParentPaths, timeout: float = RESPONSE_SECONDS) -> ParentStatus | None:
    """Return what a parent runs and keeps; None when none runs."""
    return request_response(paths, GetStatus(), ParentStatus, timeout)


def get_exit_status(paths: ParentPaths, pid: int) -> ExitStatus | None:
    """Return how a kernel's process ended; None when no parent runs."""
    return request_response(paths, GetExitStatus(pid=pid), ExitStatus)


def stop(paths: ParentPaths, kill_kernels: bool = False) -> int | None:
    """End a parent and its snapshots, and with `kill_kernels` its kernels; return its process id, None if none runs."""
    stopped = request_response(paths, StopParent(kill_kernels=kill_kernels), Stopped)
    return stopped.pid if stopped else None


def drop_snapshots(paths: ParentPaths, group: str | None, timeout: float = RESPONSE_SECONDS) -> None:
    """End the snapshots of a group, or all of them with None; return when a running parent has done so."""
    request_response(paths, DropSnapshots(group=group), Response, timeout)


def report_resumed(paths: ParentPaths, pid: int) -> None:
    """Report that the notebook of a pausing kernel goes on; a parent that is gone starts no other kernel."""
    connection = connect(paths, None)
    if connection is not None:
        with connection, contextlib.suppress(OSError):
            send_request(connection, ResumedKernel(pid=pid), [])


def start_kernel(
    paths: ParentPaths, start: KernelSettings | None, request: StartKernel, timeout: float
) -> tuple[FrameSocket, KernelReady]:
    """Return the connection to a new kernel, and what it reported.

    Args:
        paths: where the parent listens.
        start: settings to start a parent with when none listens.
        request: which kernel.
        timeout: seconds in which it must be ready, not counting the time in the parent's queue.

    Raises:
        ParentUnavailable: no parent could be started, it refused, ended or restarted too often, or took too long.
    """
    reason = "it ended without a response"
    for _ in range(ATTEMPTS):
        connection = connect(paths, start)
        if connection is None:
            raise ParentUnavailable(f"no warm parent listens at {paths.socket_path}")
        frames = FrameSocket(connection)
        health = ParentHealth(paths, lambda seconds: get_status(paths, seconds) is not None)
        patience: float | None = timeout
        try:
            connection.settimeout(timeout)
            send_request(connection, request, _standard_streams())
            while True:
                problem = None if frames.has_frame else health.await_data(connection, patience)
                if problem is not None:
                    frames.close()
                    raise ParentUnavailable(problem)
                if (frame := frames.receive()) is None:
                    break
                channel, parts = frame
                if channel == READY:
                    connection.settimeout(None)
                    return frames, decode(parts[0], KernelReady)
                if channel == RESPONSE:
                    response = decode_response(parts[0])
                    if isinstance(response, Refused):
                        frames.close()
                        raise ParentUnavailable(response.reason)
                    if isinstance(response, Restarting):
                        reason = response.reason
                        break
                    patience = None  # queued, for as long as it takes
        except TimeoutError:
            reason = f"no kernel was ready within {timeout:g} s"
        except (OSError, MessageError) as error:
            reason = str(error)
        frames.close()
    raise ParentUnavailable(f"the warm parent starts no kernel: {reason}; see {paths.log_path}")


def _standard_streams() -> list[int]:
    """Return this process's descriptors 1 and 2, which become the kernel's; none when one of them is closed."""
    streams = []
    for descriptor in (1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            return []
        streams.append(descriptor)
    return streams
