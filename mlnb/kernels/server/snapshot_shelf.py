"""The states of notebooks that a warm parent keeps: processes that wait, each at the other end of a connection."""

import contextlib
import json
import os
import signal
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlnb.kernels.protocol.wire import Wire, request

MEASURED = 1.0  # seconds between two exact looks at memory
LOOK = 0.5  # seconds between two rough looks at memory while nothing happens
PROMPT = 5.0  # seconds in which a kept process answers
MOST = 64  # processes, however small they are


@dataclass
class Kept:
    """One state: `about` says of what notebook, before which cell, and until when it is wanted."""

    pid: int
    connection: socket.socket
    about: dict[str, Any]
    since: float = field(default_factory=time.time)

    @property
    def until(self) -> float:
        """When it ends, in seconds since the epoch."""
        return self.since + float(self.about["minutes"]) * 60


class Shelf:
    """What is kept, oldest first."""

    def __init__(self) -> None:
        self.kept: list[Kept] = []
        self._looked = 0.0

    def put(self, connection: socket.socket, about: dict[str, Any], since: float | None = None) -> None:
        """Keep the process at the other end; one that keeps the same state ends."""
        pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.end(one for one in list(self.kept) if one.about["state"] == about["state"])
        self.kept.append(Kept(pid, connection, about, since or time.time()))

    def find(self, state: str | None) -> Kept | None:
        """Return the process that keeps a state."""
        return next((one for one in self.kept if one.about["state"] == state), None)

    def wake(self, kept: Kept, asked: dict[str, Any], descriptors: list[int]) -> int | None:
        """Have a kernel made of a state; return its process id, None when the process that kept it is gone."""
        kept.connection.settimeout(PROMPT)
        try:
            request(kept.connection, asked, descriptors)
            message = Wire(kept.connection).receive()
            if message is None:
                raise OSError("it is gone")
        except OSError:
            self.end([kept])
            return None
        kept.connection.settimeout(None)
        self.kept.remove(kept)
        self.kept.append(kept)  # used last, so it goes last
        kept.since = time.time()
        return int(json.loads(message[1][0])["pid"])

    def end(self, which: Any) -> None:
        """End processes that wait; those that came of them go on."""
        for one in list(which):
            self.kept.remove(one)
            with contextlib.suppress(ProcessLookupError):  # it is nobody's but the parent's to reap: the id is its own
                os.kill(one.pid, signal.SIGKILL)
            one.connection.close()

    def gone(self, descriptors: set[int]) -> None:
        """Forget those whose connections have ended."""
        for one in [one for one in self.kept if one.connection.fileno() in descriptors]:
            with contextlib.suppress(BlockingIOError):
                if not one.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK):
                    self.end([one])

    def tend(self, others: int) -> None:
        """End what is too old, and the oldest when all take more memory than they may.

        `others` is the number of kernels that share this process's memory, too.
        """
        now = time.time()
        self.end([one for one in self.kept if one.until <= now])
        self.end(self.kept[:-MOST])
        if not self.kept or sum(anonymous(one.pid) for one in self.kept) <= self._budget():
            return
        if time.monotonic() - self._looked >= MEASURED:
            self._looked = time.monotonic()
            while self.kept and self.memory(others) > self._budget():
                self.end(self.kept[:1])

    def _budget(self) -> float:
        return float(self.kept[-1].about["bytes"])

    def memory(self, others: int = 0) -> int:
        """Return the bytes that would be free if all that is kept ended: their shares, less that of this process."""
        if not self.kept:
            return 0
        shares = [share(one.pid) for one in self.kept]
        whole, own = share(os.getpid())
        lent = (whole - own) * len(self.kept) // (len(self.kept) + others)
        return max(0, sum(part for _, part in shares) - lent)

    def next_ends(self) -> list[float]:
        """Return the seconds until each is too old, or memory is to be looked at."""
        return [min(LOOK, max(0.0, one.until - time.time())) for one in self.kept]

    def told(self) -> list[dict[str, Any]]:
        """Return what is told of each: what it is, its process, its age and its end."""
        return [{**one.about, "pid": one.pid, "since": one.since, "until": one.until} for one in self.kept]

    def handed_on(self) -> list[list[Any]]:
        """Return what another life of this process needs to keep them, their connections left open for it."""
        for one in self.kept:
            os.set_inheritable(one.connection.fileno(), True)
        return [[one.connection.fileno(), one.about, one.since] for one in self.kept]

    def take_over(self, noted: list[list[Any]]) -> None:
        """Go on with what the life before has handed on."""
        for descriptor, about, since in noted:
            with contextlib.suppress(OSError):
                connection = socket.socket(fileno=descriptor)
                connection.set_inheritable(False)
                self.put(connection, about, since)


def anonymous(pid: int) -> int:
    """Return the bytes of a process's memory that are of no file, shared with other processes or not."""
    try:
        _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def share(pid: int) -> tuple[int, int]:
    """Return the bytes of a process's memory that are of no file, and its share of them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {name: value for name, _, value in (line.partition(":") for line in lines[1:])}
    whole, part = (int(found.get(name, "0 kB").split()[0]) * 1024 for name in ("Anonymous", "Pss_Anon"))
    return whole, part
