"""Keeping a notebook's state: its kernel forks, and the fork waits, owning nothing, until the state is wanted again.

The process that waits stays as it is. When it is woken it forks in its turn, and that fork becomes a kernel: so one
state can be gone back to any number of times.
"""

import asyncio
import contextlib
import json
import os
import random
import selectors
import signal
import socket
import threading
import time
import warnings
from pathlib import Path
from typing import Any

from mlnb.kernels.kernel import snapshot_fitness
from mlnb.kernels.protocol.os_helpers import OOM_SCORE
from mlnb.kernels.protocol.wire import pack, request, requested

FIRST_TO_GO = "1000"  # of 1000: when memory ends, the system takes what only waits
Woken = tuple[dict[str, Any], list[int]]  # what is asked of the kernel, and the descriptors that came along


def keep(app: Any, loop: Any, about: dict[str, Any], parent: list[str]) -> Woken | None:
    """Fork a process that waits with this state; return None here, and what was asked in a kernel that comes of it.

    Raises `snapshot_fitness.Unfit` when a fork would not be a whole copy.
    """
    publisher, wire = app.iopub_thread, app.wire
    streams = [app.kernel._stdout, app.kernel._stderr]
    for stream in streams:
        stream.flush()
    watchers = [stream.watch_fd_thread for stream in streams if stream._should_watch]
    sockets = {wire.fileno(), *publisher.sockets, loop._ssock.fileno(), loop._csock.fileno()}
    watched = {key.fd for key in loop._selector.get_map().values()}
    if not watched <= sockets:
        raise snapshot_fitness.Unfit("its event loop waits for something")
    outputs = {1, 2, *(stream._original_stdstream_copy for stream in streams if stream._should_watch)}
    snapshot_fitness.check([publisher.thread, *watchers], sockets | outputs)
    chance = random.getstate()  # a fork gets another state, which no run from the top would have
    with publisher.still():
        if not _forked():
            return None
    _let_go(app, loop)
    found = _wait(about, parent)
    _take_up(app, loop)
    random.setstate(chance)
    return found


def _forked() -> bool:
    """Fork a process that is nobody's child here; return whether this is it."""
    kept, warnings.showwarning = warnings.showwarning, lambda *_, **__: None  # of threads, which are all accounted for
    try:
        between = os.fork()
        if between:
            os.waitpid(between, 0)
            return False
        if os.fork():
            os._exit(0)
        return True
    finally:
        warnings.showwarning = kept


def _let_go(app: Any, loop: Any) -> None:
    """Close what belongs to the kernel that goes on: nobody shall wait for this process to close it."""
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    tornado_loop = app.kernel.io_loop
    tornado_loop.handlers.pop(app.wire.fileno(), None)
    tornado_loop.readers.discard(app.wire.fileno())
    loop._selector.close()  # only the descriptor: what it watches is shared with the kernel that goes on
    loop._ssock.close()
    loop._csock.close()
    app.wire.close()
    app.iopub_thread.abandon()
    null = os.open(os.devnull, os.O_RDWR)
    for stream, number in ((app.kernel._stdout, 1), (app.kernel._stderr, 2)):
        if stream._should_watch:
            _close_pipe(stream._fid)
            os.dup2(null, stream._original_stdstream_copy)
        os.dup2(null, number)
    os.close(null)


def _close_pipe(descriptor: int) -> None:
    """Close both ends of a pipe, wherever they are."""
    pipe = os.readlink(f"/proc/self/fd/{descriptor}")
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/self/fd/{name}") == pipe and int(name) > 2:
                os.close(int(name))


def _wait(about: dict[str, Any], parent: list[str]) -> Woken:
    """Wait until the state is wanted; return in a fork of this process, which itself goes on waiting."""
    try:
        folder = os.open(parent[0], os.O_RDONLY | os.O_DIRECTORY)
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"/proc/self/fd/{folder}/{parent[1]}")
        os.close(folder)
        request(connection, {"verb": "snapshot", "about": about}, [])
        while True:
            asked, descriptors = requested(connection)
            back, there = os.pipe()
            if _forked():
                os.write(there, str(os.getpid()).encode())
                for end in (back, there):
                    os.close(end)
                connection.close()
                return asked, descriptors
            os.close(there)
            pid = int(os.read(back, 32))
            for descriptor in (back, *descriptors):
                os.close(descriptor)
            connection.sendall(pack(b"a", [json.dumps({"pid": pid}).encode()]))
    except (OSError, ValueError):
        os._exit(0)  # nobody will ask any more


def _take_up(app: Any, loop: Any) -> None:
    """Be a kernel again, with a loop, pipes and threads of its own."""
    os.setsid()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    app.session.pid = os.getpid()
    loop._selector = selectors.DefaultSelector()
    loop._internal_fds -= 1
    loop._make_self_pipe()
    asyncio._set_running_loop(loop)
    asyncio.set_event_loop(loop)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    app.iopub_thread.reopen()
    for stream, number in ((app.kernel._stdout, 1), (app.kernel._stderr, 2)):
        stream._master_pid = os.getpid()
        stream._buffer_lock = threading.RLock()
        if stream._should_watch:
            stream._fid, end = os.pipe()
            os.dup2(end, number)
            os.close(end)
            stream.watch_fd_thread = threading.Thread(target=stream._watch_pipe_fd, daemon=True)
            stream.watch_fd_thread.start()
    time.tzset()
