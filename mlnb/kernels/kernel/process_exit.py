"""How a forked kernel ends: by itself with everything flushed, or killed when its driver is gone."""

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from ipykernel.kernelapp import IPKernelApp
from tornado import ioloop

from mlnb.kernels.protocol import compat
from mlnb.kernels.protocol.os_helpers import has_children
from mlnb.kernels.protocol.wire import EXITING, FrameSocket

exit_reported = threading.Event()  # set when everything is sent and the driver may disconnect


def on_disconnect() -> None:
    """End this process and all that the notebook started, as the driver is gone; not while it exits by itself."""
    if not exit_reported.is_set():
        os.killpg(0, signal.SIGKILL)


def exit_process(app: IPKernelApp, connection: FrameSocket, before_exit: Callable[[], None]) -> NoReturn:
    """End as an interpreter does (child processes, threads, exit hooks, variables, files), but without its teardown.

    `before_exit` is called when nobody waits for this process any longer.
    """
    code = 0
    try:
        if has_children():
            ioloop.IOLoop.current().run_sync(lambda: compat.terminate_children(app.kernel))
        compat.join_threads()
        compat.run_exit_hooks()
        clear_namespace(app.shell)
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            with contextlib.suppress(Exception):
                stream.flush()  # type: ignore[union-attr]
        exit_reported.set()
        with contextlib.suppress(OSError):
            connection.send(EXITING, [])
        before_exit()
    except BaseException:  # noqa: BLE001 -- whatever an exit hook does, the process ends
        code = 1
    finally:
        os._exit(code)


def clear_namespace(shell: Any) -> None:
    """Delete the notebook's variables, so that what they hold is closed and flushed."""
    for name in ("last_type", "last_value", "last_traceback", "last_exc"):
        if hasattr(sys, name):
            delattr(sys, name)
    if shell.history_manager is not None:
        shell.history_manager.output_hist.clear()
    shell.user_module.__dict__.clear()
    shell.user_ns.clear()
    gc.collect()
