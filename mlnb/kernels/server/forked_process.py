"""Turns a fork of the warm parent into a process like any kernel: own session, environment, folder and random state."""

import contextlib
import os
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from mlnb.kernels.protocol.messages import MessageError, PreloadImports, StartKernel
from mlnb.kernels.protocol.os_helpers import OOM_SCORE
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.protocol.wire import KernelRequest, receive_request, send_request
from mlnb.kernels.server.preload import imported_packages, is_third_party, may_preload

REPORT_SECONDS = 1.0  # in which a warm parent takes a report of imports


@dataclass(frozen=True)
class KernelEntry:
    """What a forked kernel runs, and how the parent was before it preloaded any library.

    `run_notebook_kernel` and `run_jupyter_kernel` do not return. `base_packages` are the packages of every kernel.
    """

    run_notebook_kernel: Callable[..., NoReturn]
    run_jupyter_kernel: Callable[..., NoReturn]
    warning_filters: list[Any]
    base_packages: frozenset[str]

    def imports_nothing_else(self, request: StartKernel) -> bool:
        """Return whether a notebook imports only packages of every kernel."""
        names = request.notebook_imports
        return names is not None and {name.partition(".")[0] for name in names} <= self.base_packages

    def fits(self, prepared: StartKernel, request: StartKernel) -> bool:
        """Return whether a kernel prepared for one request can serve another."""
        return (
            prepared.context.cwd == request.context.cwd
            and prepared.context.umask == request.context.umask
            and prepared.context.processors == request.context.processors
            and prepared.context.limits == request.context.limits
            and prepared.connection_file == request.connection_file
            and prepared.arguments == request.arguments
            and prepared.jupyter_sockets == request.jupyter_sockets
            and _environment_at_start(prepared) == _environment_at_start(request)
            and self.imports_nothing_else(prepared) == self.imports_nothing_else(request)
        )


def _environment_at_start(request: StartKernel) -> dict[str, str]:
    """Return the variables that a kernel may read before its notebook arrives."""
    return {name: value for name, value in request.context.environment.items() if not name.startswith("MLNB_")}


def become_kernel(entry: KernelEntry, paths: ParentPaths, link: socket.socket, prepared: StartKernel) -> NoReturn:
    """Become a kernel in a process just forked.

    Args:
        entry: what to run.
        paths: where the warm parent listens.
        link: socket on which the request arrives.
        prepared: a request like it, for which everything is prepared ahead.
    """
    imported: set[str] = set()

    def wait_for_request() -> KernelRequest:
        try:
            request, descriptors = receive_request(link)
            if not isinstance(request, StartKernel):
                raise MessageError(f"expected StartKernel, found {type(request).__name__}")
        except (OSError, MessageError):
            os._exit(0)  # the parent does not need this kernel
        link.close()
        os.chdir(request.context.cwd)  # the path is the same, the folder may have been replaced
        imported.update(sys.modules)
        for name in [name for name in os.environ if name.startswith("MLNB_")]:
            del os.environ[name]
        own = {name: value for name, value in request.context.environment.items() if name.startswith("MLNB_")}
        os.environ.update(own)
        if not request.jupyter_sockets:
            os.environ["JPY_PARENT_PID"] = str(request.context.driver_pid)
        return request, descriptors

    try:
        _apply_context(entry, prepared)
        sys.modules.pop("matplotlib_inline.backend_inline", None)
        for name in [name for name in sys.modules if name == "mlnb" or name.startswith("mlnb.")]:
            del sys.modules[name]  # the notebook's project may have another mlnb
        before_exit = partial(_report_imports, paths, imported)
        if prepared.jupyter_sockets:
            entry.run_jupyter_kernel(sys.argv[1:], wait_for_request, before_exit)
        else:
            entry.run_notebook_kernel(sys.argv[1:], wait_for_request, before_exit, paths)
    except BaseException:  # noqa: BLE001 -- nothing of this process may go on in the parent's code
        with contextlib.suppress(BaseException):
            traceback.print_exc(file=sys.__stderr__)
            sys.__stderr__.flush()  # type: ignore[union-attr]
    finally:
        os._exit(70)


def _report_imports(paths: ParentPaths, before: set[str]) -> None:
    """Report to the parent what the notebook imported besides, to be preloaded next time."""
    packages = {name.partition(".")[0] for name in before}
    new = [name for name in list(sys.modules) if name not in before]
    others = [name for name in new if name.partition(".")[0] not in packages and may_preload(name, ())]
    if any(map(is_third_party, others)):
        packages |= imported_packages(list(sys.modules.items()))  # which reads the project's modules
    names = [name for name in new if name.partition(".")[0] in packages]
    if names:
        with paths.connect(REPORT_SECONDS) as connection:
            send_request(connection, PreloadImports(modules=names), [])


def launcher() -> str:
    """Return what `sys.argv[0]` is in a kernel that Jupyter starts."""
    import ipykernel

    return str(Path(ipykernel.__file__).parent.parent / "ipykernel_launcher.py")


def _apply_context(entry: KernelEntry, request: StartKernel) -> None:
    """Take over the driver's environment, folder, limits and signals."""
    context = request.context
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("stdout", "stderr"):
        proxy = getattr(sys, name)
        proxy.preloading = False
        setattr(sys, name, getattr(sys, f"__{name}__"))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, context.processors)
    for name, limit in context.limits.items():
        if limit != resource.getrlimit(getattr(resource, name)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), limit)
    os.umask(context.umask)
    os.environ.clear()
    os.environ.update(context.environment)
    if not request.jupyter_sockets:  # ipykernel would compare it with this process's parent, which is another
        os.environ["JPY_PARENT_PID"] = str(context.driver_pid)
    time.tzset()
    os.chdir(context.cwd)
    sys.argv = [launcher(), "-f", request.connection_file, *request.arguments]
    if entry.imports_nothing_else(request):  # libraries that other notebooks import add filters
        warnings.resetwarnings()
        warnings.filters[:] = entry.warning_filters  # type: ignore[index]
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # a new state, as in a new interpreter; the fork itself renews Python's
