"""The kernels that a warm parent has forked: which run, and how those that ended have ended."""

import contextlib
import os
import signal

MAX_EXIT_STATUSES = 200  # kept for drivers that request them


class KernelProcesses:
    """The parent's child processes.

    `running` maps process ids to notebooks, `exit_statuses` process ids to wait statuses; `pausing` are those of them
    that may wait for other kernels; `max_memory` are the bytes of the largest kernel so far.
    """

    def __init__(self) -> None:
        self.running: dict[int, str] = {}
        self.pausing: set[int] = set()
        self.exit_statuses: dict[int, int] = {}
        self.max_memory = 0

    def add(self, pid: int, notebook: str, pausing: bool = False) -> None:
        """Note that a kernel runs a notebook, which may pause, unless it has already ended."""
        if pid not in self.exit_statuses:
            self.running[pid] = notebook
            if pausing:
                self.pausing.add(pid)

    def resume(self, pid: int) -> None:
        """Note that the notebook of a pausing kernel goes on."""
        self.pausing.discard(pid)

    @property
    def none_goes_on(self) -> bool:
        """Whether no kernel runs, or all may wait for others."""
        return self.pausing.issuperset(self.running)

    def reap(self) -> set[int]:
        """Take the exit statuses of kernels that ended, and kill what they left running in their process groups.

        Returns:
            Their process ids.
        """
        reaped = set()
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(ended.si_pid, signal.SIGKILL)
                _, status, usage = os.wait4(ended.si_pid, 0)
                self.max_memory = max(self.max_memory, usage.ru_maxrss * 1024)
                self.running.pop(ended.si_pid, None)
                self.pausing.discard(ended.si_pid)
                self.exit_statuses[ended.si_pid] = status
                reaped.add(ended.si_pid)
                while len(self.exit_statuses) > MAX_EXIT_STATUSES:
                    del self.exit_statuses[next(iter(self.exit_statuses))]
        return reaped

    def kill(self) -> None:
        """Kill every kernel that runs, and its process group."""
        for pid in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
