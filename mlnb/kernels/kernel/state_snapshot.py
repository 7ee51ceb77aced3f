"""Snapshots of a notebook's state: its kernel forks, and the fork waits, owning nothing, until the state is wanted.

The waiting process stays as it is. To restore the state it forks in turn, and that fork becomes a kernel: one snapshot
can be restored any number of times.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
import warnings
from pathlib import Path
from typing import Any

from mlnb.kernels.kernel import fork_safety
from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.messages import (
    MessageError,
    RegisterSnapshot,
    SnapshotForked,
    SnapshotInfo,
    StartKernel,
)
from mlnb.kernels.protocol.os_helpers import OOM_SCORE
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.wire import KernelRequest, receive_request, send_request, send_response

OOM_FIRST = "1000"  # of 1000: when memory runs out, the system kills what only waits


def take_snapshot(app: Any, loop: Any, info: SnapshotInfo, parent: ParentPaths) -> KernelRequest | None:
    """Fork a process that waits with this state.

    Args:
        app: the `ForkedApp` of this kernel.
        loop: its asyncio event loop, which is running.
        info: what describes the snapshot.
        parent: where the warm parent listens.

    Returns:
        None in this kernel; in each kernel restored from the snapshot, its request.

    Raises:
        NotForkSafe: a fork would not be a complete copy.
    """
    publisher = app.iopub_thread
    for stream in app.streams:
        stream.flush()
    watching = [stream for stream in app.streams if compat.watches_descriptor(stream)]
    sockets = {app.connection.fileno(), *publisher.sockets, *compat.wakeup_descriptors(loop)}
    if not compat.watched_descriptors(loop) <= sockets:
        raise fork_safety.NotForkSafe("its event loop waits for something")
    threads = [publisher.thread, *map(compat.stream_thread, watching)]
    outputs = {1, 2, *(stream.fileno() for stream in watching)}
    fork_safety.check_fork_safety(threads, sockets | outputs)
    random_state = random.getstate()  # a fork reseeds it, which a run from the top would not
    with publisher.paused():
        if not _fork_detached():
            return None
    _release_kernel(app, loop)
    restored = _wait_for_restore(info, parent)
    _become_kernel(app, loop)
    random.setstate(random_state)
    return restored


def _fork_detached() -> bool:
    """Fork a process that is no child of this one; return whether this is it."""
    original = warnings.showwarning
    warnings.showwarning = lambda *_, **__: None  # Python warns of threads in a fork; all of them are accounted for
    try:
        between = os.fork()
        if between:
            os.waitpid(between, 0)
            return False
        if os.fork():
            os._exit(0)
        return True
    finally:
        warnings.showwarning = original


def _release_kernel(app: Any, loop: Any) -> None:
    """Close what belongs to the kernel that goes on: nobody may wait for this process to close it."""
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_FIRST)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    compat.detach_event_loop(loop)
    app.kernel.io_loop.remove_handler(app.connection.fileno())
    app.connection.close()
    app.iopub_thread.abandon()
    null = os.open(os.devnull, os.O_RDWR)
    for stream, number in zip(app.streams, (1, 2), strict=True):
        if compat.watches_descriptor(stream):
            compat.close_stream_pipe(stream)
            os.dup2(null, stream.fileno())
        os.dup2(null, number)
    os.close(null)


def _wait_for_restore(info: SnapshotInfo, parent: ParentPaths) -> KernelRequest:
    """Wait until the state is wanted; return in a fork of this process, which itself goes on waiting."""
    try:
        connection = parent.connect()
        send_request(connection, RegisterSnapshot(info=info), [])
        while True:
            request, descriptors = receive_request(connection)
            if not isinstance(request, StartKernel):
                raise MessageError(f"expected StartKernel, found {type(request).__name__}")
            reader, writer = os.pipe()
            if _fork_detached():
                os.write(writer, str(os.getpid()).encode())
                for end in (reader, writer):
                    os.close(end)
                connection.close()
                return request, descriptors
            os.close(writer)
            pid = int(os.read(reader, 32))
            for descriptor in (reader, *descriptors):
                os.close(descriptor)
            send_response(connection, SnapshotForked(pid=pid))
    except (OSError, ValueError):
        os._exit(0)  # the parent is gone: nobody will restore this


def _become_kernel(app: Any, loop: Any) -> None:
    """Be a kernel again, with new descriptors of the loop, new pipes and threads."""
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    app.session.pid = os.getpid()
    compat.reattach_event_loop(loop)
    asyncio.set_event_loop(loop)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app.iopub_thread.reopen()
    for stream, number in zip(app.streams, (1, 2), strict=True):
        compat.reopen_stream(stream, number)
    time.tzset()
