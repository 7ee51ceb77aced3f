"""Tests at start-up that the private APIs of `compat` exist and behave as the kernels expect.

A driver and a warm parent each run theirs once. When one finds a problem, notebooks run on papermill's standard engine
and one warning names the library.
"""

import asyncio
import functools
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.compat import PrivateApi

SECONDS = 20.0  # a self-test that takes longer has failed
Check = tuple[str, Callable[[], None]]  # library, test that raises when it behaves differently


@functools.cache
def driver_problem() -> str | None:
    """Return why this process cannot drive forked kernels, None when it can; tested once."""
    return _problem(compat.DRIVER_APIS, [("Python", interpreter_options), ("nbclient", notebook_client)])


class KernelSelfTest:
    """Tests in a fork whether ipykernel and this Python can run in a fork; this process goes on meanwhile."""

    def __init__(self) -> None:
        self._missing = compat.find_missing(compat.KERNEL_APIS)
        if self._missing is not None:
            return
        reader, writer = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                threading.Timer(SECONDS, os._exit, (1,)).start()
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                sys.stdout = os.fdopen(1, "w")
                os.write(writer, (_problem((), CHECKS) or "passed").encode())
            finally:
                os._exit(0)
        os.close(writer)
        self._result = open(reader, encoding="utf-8")  # noqa: SIM115 -- read when the result is needed

    def problem(self) -> str | None:
        """Wait for the result; return why kernels cannot be forked, None when they can."""
        if self._missing is not None:
            return self._missing
        with self._result as file:
            result = file.read()
        os.waitpid(self._pid, 0)
        return None if result == "passed" else result or "the self-test of the kernels ended without a result"


def _problem(apis: Collection[PrivateApi], checks: Collection[Check]) -> str | None:
    """Return what is missing or behaves differently, None when all is well."""
    if (missing := compat.find_missing(apis)) is not None:
        return missing
    for library, check in checks:
        try:
            check()
        except Exception as error:  # noqa: BLE001 -- whatever a changed library raises, the standard engine takes over
            what = f"{check.__name__.replace('_', ' ')}: {type(error).__name__} {error}".rstrip()
            return f"{compat.installed(library)} behaves differently: {what} ({compat.checked(library)})"
    return None


def _expect(condition: bool, problem: str) -> None:
    """Raise `RuntimeError` with the problem unless the condition holds."""
    if not condition:
        raise RuntimeError(problem)


def interpreter_options() -> None:
    """Options of the interpreter are text."""
    _expect(all(isinstance(flag, str) for flag in compat.interpreter_flags()), "its options are not text")


def notebook_client() -> None:
    """A notebook client has what is restored with a snapshot, and calls the hooks."""
    from nbclient.client import NotebookClient
    from nbformat import NotebookNode

    client = NotebookClient(NotebookNode(cells=[], metadata={}))  # type: ignore[no-untyped-call]
    _expect(compat.displays(client) == {}, "a new client has displays")
    widgets = [client.widget_state, client.widget_buffers, client.comm_objects]
    _expect(widgets == [{}, {}, {}], "a new client has widgets")
    _expect(compat.calls_hooks(client), "it does not call what is overridden")


def temporary_folders() -> None:
    """A temporary folder is found as long as it is alive."""
    before = compat.has_temporary_directory()
    with tempfile.TemporaryDirectory():
        _expect(compat.has_temporary_directory(), "a temporary folder is not found")
    _expect(compat.has_temporary_directory() == before, "a temporary folder that is gone is found")


def event_loop() -> None:
    """An event loop that was detached and reattached waits and wakes."""
    loop = asyncio.SelectorEventLoop()
    _expect(bool(compat.wakeup_descriptors(loop) & compat.watched_descriptors(loop)), "it does not watch its socket")
    compat.detach_event_loop(loop)
    _expect(not compat.watched_descriptors(loop), "it watches something after it was detached")
    compat.reattach_event_loop(loop, running=False)
    timer = threading.Timer(0.001, loop.call_soon_threadsafe, (loop.stop,))
    timer.start()
    loop.run_forever()
    timer.join()
    loop.close()


def requests() -> None:
    """A request is done when its handler returns, so that a snapshot can be taken then."""
    from ipykernel.kernelbase import Kernel

    _expect(compat.handles_requests_directly(Kernel), "requests are queued")


def output_streams() -> None:
    """What is written to an output stream, or to its descriptor, is published, also after the stream was reopened."""
    from ipykernel.iostream import BackgroundSocket, IOPubThread, OutStream
    from jupyter_client.session import Session

    published: list[bytes] = []

    class Collector(IOPubThread):
        """Publishes into a list."""

        def __init__(self) -> None:
            self.io_loop = self  # type: ignore[assignment]
            self.thread = threading.Thread()

        def call_later(self, delay: float, function: Callable[[], None]) -> None:
            function()

        def schedule(self, f: Callable[[], None]) -> None:
            f()

        def send_multipart(self, parts: list[bytes], *args: Any, **kwargs: Any) -> None:
            published.append(b"".join(parts))

    def arrives(text: bytes) -> bool:
        until = time.monotonic() + SECONDS / 4
        while not any(text in message for message in published) and time.monotonic() < until:
            time.sleep(0.001)
        return any(text in message for message in published)

    collector = Collector()
    BackgroundSocket(collector).send_multipart([b"direct"])  # type: ignore[no-untyped-call]
    _expect(arrives(b"direct"), "a background socket does not publish")
    stream = OutStream(Session(key=b""), collector, "stdout", watchfd="force")  # type: ignore[no-untyped-call]
    for number in range(2):
        stream.write(f"written {number}")
        stream.flush()  # type: ignore[no-untyped-call]
        os.write(1, b"descriptor %d" % number)
        _expect(arrives(b"written %d" % number), "what is written is not published")
        _expect(compat.watches_descriptor(stream), "it does not watch its descriptor")
        _expect(arrives(b"descriptor %d" % number), "what is written to descriptor 1 is not published")
        if not number:
            _expect(compat.stream_thread(stream).is_alive(), "no thread reads the pipe")
            compat.close_stream_pipe(stream)
            compat.reopen_stream(stream, 1)


CHECKS: tuple[Check, ...] = (
    ("Python", temporary_folders),
    ("Python", event_loop),
    ("ipykernel", requests),
    ("ipykernel", output_streams),
)
