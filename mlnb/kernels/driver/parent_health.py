"""Whether a warm parent that has not responded for a while still works: it may be stopped, or hang."""

import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mlnb.kernels.protocol.parent_paths import ParentPaths

CHECK_SECONDS = 2.0  # between two looks at a parent that does not respond
STOPPED_CHECKS = 2  # looks at which it must be stopped
IDLE_CHECKS = 2  # looks at which it used no processor time, as importing does, before its status is requested
PROBE_SECONDS = 4.0  # in which it must return its status


class ProcessState(NamedTuple):
    """State letter of a process in /proc, and the processor time that it has used, in ticks."""

    state: str
    ticks: int


class ParentHealth:
    """Watches one parent while a response is awaited."""

    def __init__(self, paths: ParentPaths, probe: Callable[[float], bool]) -> None:
        """Watch a parent.

        Args:
            paths: of the parent.
            probe: returns whether the parent answers another request within a number of seconds.
        """
        self.paths = paths
        self.probe = probe
        self._stopped = self._idle = 0
        self._ticks = -1

    def await_data(self, connection: socket.socket, seconds: float | None) -> str | None:
        """Wait until a connection has data; return None then, else why to wait no longer.

        Args:
            connection: to the parent.
            seconds: to wait at most; None: as long as the parent works.

        Raises:
            TimeoutError: no data within `seconds`, though the parent works.
        """
        waited = 0.0
        while True:
            step = CHECK_SECONDS if seconds is None else max(0.0, min(CHECK_SECONDS, seconds - waited))
            if select.select([connection], [], [], step)[0]:
                return None
            waited += step
            if (problem := self._problem()) is not None:
                return problem
            if seconds is not None and waited >= seconds:
                raise TimeoutError

    def _problem(self) -> str | None:
        """Return what is wrong with the parent, or None."""
        pid = _find_process(self.paths)
        process = _read_state(pid) if pid is not None else None
        if process is None:
            return None
        self._stopped = self._stopped + 1 if process.state in "Tt" else 0
        self._idle = self._idle + 1 if process.ticks == self._ticks else 0
        self._ticks = process.ticks
        if self._stopped >= STOPPED_CHECKS:
            return f"the warm parent, process {pid}, is stopped; continue it: kill -CONT {pid}"
        if self._idle >= IDLE_CHECKS and not self.probe(PROBE_SECONDS):
            return f"the warm parent, process {pid}, does not respond; end it: kill -KILL {pid}"
        return None


def _find_process(paths: ParentPaths) -> int | None:
    """Return the process id of a parent from its command line; its kernels are forked from it and have the same."""
    arguments = f"\0{paths.folder}\0{paths.key}\0".encode()
    matches: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if arguments in (folder / "cmdline").read_bytes():
                matches[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return min((pid for pid, parent in matches.items() if parent not in matches), default=None)


def _read_state(pid: int) -> ProcessState | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return ProcessState(fields[0], int(fields[11]) + int(fields[12]))
