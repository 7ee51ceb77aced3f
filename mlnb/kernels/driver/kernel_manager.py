"""A forked kernel's manager, with the methods of Jupyter's that nbclient calls: one process, one connection."""

import contextlib
import os
import secrets
import select
import signal
import time
from typing import Any

import msgspec

from mlnb.kernels.driver import parent_client
from mlnb.kernels.driver.kernel_client import ForkedKernelClient
from mlnb.kernels.protocol.messages import RestoreSnapshot, StartKernel
from mlnb.kernels.protocol.parent_paths import KernelSettings, ParentPaths, parent_key
from mlnb.kernels.protocol.process_context import current_context
from mlnb.kernels.protocol.wire import SHUTDOWN
from mlnb.settings import ProcessSettings

SHUTDOWN_SECONDS = 5.0  # that a kernel may take to end by itself, as in Jupyter
TERMINATE_SECONDS = 1.0  # between SIGTERM and SIGKILL
EXIT_SECONDS = 2.0  # in which a kernel's process ends after its connection, and its parent knows how


class ForkedKernelManager:
    """Starts, interrupts and ends one forked kernel.

    Args:
        settings: of the project's kernels.
        notebook: its path, for status reports.
        notebook_imports: libraries that the notebook imports.
        timeout: seconds in which the kernel must be ready.
    """

    ipykernel = True  # nbclient then keeps the history of cells in memory

    def __init__(self, settings: KernelSettings, notebook: str, notebook_imports: list[str], timeout: float) -> None:
        self.settings = settings
        self.notebook = notebook
        self.notebook_imports = notebook_imports
        self.timeout = timeout
        self.restore: RestoreSnapshot | None = None  # the snapshot to continue from, set before the kernel starts
        self.pausing = False  # whether the notebook waits before a cell, set before the kernel starts
        self.restored = False  # whether the kernel continues from it
        self.pid = 0
        self.paths: ParentPaths | None = None
        self._client: ForkedKernelClient | None = None

    @property
    def has_kernel(self) -> bool:
        """Whether a kernel was started."""
        return self._client is not None

    def start_kernel(self, extra_arguments: list[str] | None = None, **options: Any) -> None:
        """Have a kernel forked; `options` may have `env` and `cwd`. Raises `ParentUnavailable`."""
        context = current_context()
        environment = context.environment | (options.get("env") or {})
        nested = bool(ProcessSettings().kernel)  # it must not wait for the kernel that it is started in to end
        environment[ProcessSettings.kernel.variable] = "1"
        cwd = os.path.abspath(options.get("cwd") or context.cwd)
        session_key = secrets.token_hex(16)  # messages are signed, as every Jupyter message is
        paths = ParentPaths(self.settings.folder, parent_key(environment))
        restore = self.restore
        if restore is not None:
            own = {name: value for name, value in environment.items() if name.startswith("MLNB_")}
            restore = msgspec.structs.replace(restore, environment=restore.environment | own)
        request = StartKernel(
            context=msgspec.structs.replace(context, environment=environment, cwd=cwd),
            connection_file=str(self.settings.folder / "connection.json"),
            session_key=session_key,
            notebook=self.notebook,
            imports=[*self.settings.preload, *self.notebook_imports],
            notebook_imports=self.notebook_imports,
            max_kernels=self.settings.max_kernels,
            arguments=extra_arguments or [],
            nested=nested,
            pausing=self.pausing,
            restore=restore,
        )
        connection, ready = parent_client.start_kernel(paths, self.settings, request, self.timeout)
        self.pid, self.restored, self.paths = ready.pid, ready.snapshot is not None, paths
        self._client = ForkedKernelClient(connection, os.pidfd_open(self.pid), session_key)

    def report_resumed(self) -> None:
        """Report that the notebook, which has waited before a cell, goes on."""
        if self.paths is not None:
            parent_client.report_resumed(self.paths, self.pid)

    def client(self) -> ForkedKernelClient:
        """Return the client of the kernel."""
        assert self._client is not None
        return self._client

    def is_alive(self) -> bool:
        """Return whether the kernel is alive."""
        return self._client is not None and not self._client.dead

    def interrupt_kernel(self) -> None:
        """Raise KeyboardInterrupt in the cell that runs."""
        self._signal(signal.SIGINT)

    def exit_reason(self) -> str:
        """Return how a kernel that died ended, in a word or two; empty when that is unknown."""
        assert self.paths is not None and self._client is not None
        deadline = time.monotonic() + EXIT_SECONDS
        select.select([self._client.process], [], [], EXIT_SECONDS)  # its connection ends first
        while time.monotonic() < deadline:
            exit_status = parent_client.get_exit_status(self.paths, self.pid)
            status = exit_status.wait_status if exit_status else None
            if status is not None:
                if os.WIFSIGNALED(status):
                    return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
                return f"exit code {os.waitstatus_to_exitcode(status)}"
            time.sleep(0.005)
        return ""

    def shutdown_kernel(self, now: bool = False) -> None:
        """Have the kernel end by itself; kill it, and its processes, if it does not within 5 s."""
        client = self._client
        if client is None:
            return
        if not now and not client.dead:
            if client.pending:
                self.interrupt_kernel()
            with contextlib.suppress(OSError):
                client.connection.send(SHUTDOWN, [])
            if self._wait_for_exit(SHUTDOWN_SECONDS, reported=True):
                return
            self._signal(signal.SIGTERM, group=True)
            self._wait_for_exit(TERMINATE_SECONDS)
        self._signal(signal.SIGKILL, group=True)
        self._wait_for_exit(TERMINATE_SECONDS)

    def cleanup_resources(self) -> None:
        """Kill what a dead kernel's notebook left running in its process group."""
        if self._client is not None and self._client.dead and not self._client.exiting:
            self._signal(signal.SIGKILL, group=True)

    def _wait_for_exit(self, seconds: float, reported: bool = False) -> bool:
        """Return whether the kernel's process ends within `seconds`, or with `reported` reports that it exits.

        What it publishes meanwhile is discarded.
        """
        client = self._client
        assert client is not None
        client.stop_listening()
        poll = select.poll()
        poll.register(client.process, select.POLLIN)
        if not client.dead:
            poll.register(client.connection, select.POLLIN)
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(rest * 1000):
                if descriptor == client.process:
                    client.dead = True
                    return True
                client.receive()
                client.iopub_channel.messages.clear()
                if client.dead:
                    poll.unregister(client.connection)
                elif client.exiting and reported:
                    client.dead = True
                    return True
        return False

    def _signal(self, number: signal.Signals, group: bool = False) -> None:
        """Send a signal to the kernel, or to its process group."""
        assert self._client is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not group:
                signal.pidfd_send_signal(self._client.process, number)
            elif not self._reaped():
                os.killpg(self.pid, number)

    def _reaped(self) -> bool:
        """Return whether the parent has reaped the kernel and killed its group: the id may be another's now."""
        assert self._client is not None and self.paths is not None
        try:
            signal.pidfd_send_signal(self._client.process, 0)
        except ProcessLookupError:
            return parent_client.get_exit_status(self.paths, self.pid) is not None
        return False
