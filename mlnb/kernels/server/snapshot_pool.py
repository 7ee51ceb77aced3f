"""The snapshots that a warm parent keeps: processes that wait, each at the other end of a connection."""

import contextlib
import os
import signal
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mlnb.kernels.protocol.messages import (
    InheritedSnapshot,
    MessageError,
    SnapshotForked,
    SnapshotInfo,
    SnapshotStatus,
    StartKernel,
    decode_response,
)
from mlnb.kernels.protocol.wire import FrameSocket, send_request

EXACT_INTERVAL = 1.0  # seconds between two exact measurements of memory
EXACT_SHARE = 0.02  # of the time that exact measurements may take, as the system walks all pages of each process
ROUGH_INTERVAL = 0.5  # seconds between two estimates of memory while nothing happens
RESTORE_SECONDS = 5.0  # in which a snapshot forks a kernel
MAX_SNAPSHOTS = 64  # however small they are


@dataclass
class Snapshot:
    """One waiting process; `used` is when it was taken or last restored, in seconds since the epoch."""

    pid: int
    connection: socket.socket
    info: SnapshotInfo
    used: float = field(default_factory=time.time)

    @property
    def expires(self) -> float:
        """When it ends, in seconds since the epoch."""
        return self.used + self.info.ttl_minutes * 60


class SnapshotPool:
    """Snapshots in order of their last use, the oldest first."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self._measured = 0.0  # time.monotonic() of the last exact measurement
        self._rare_interval = EXACT_INTERVAL  # seconds between two of them, while little memory can be affected

    def add(self, connection: socket.socket, info: SnapshotInfo, used: float | None = None) -> None:
        """Keep the process at the other end; it replaces one with the same snapshot id."""
        pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        self.end(one for one in list(self.snapshots) if one.info.id == info.id)
        self.snapshots.append(Snapshot(pid, connection, info, used or time.time()))

    def find(self, snapshot_id: str) -> Snapshot | None:
        """Return the snapshot with an id."""
        return next((one for one in self.snapshots if one.info.id == snapshot_id), None)

    def restore(self, snapshot: Snapshot, request: StartKernel, descriptors: list[int]) -> int | None:
        """Have a snapshot fork a kernel; return the kernel's process id, None when the snapshot is gone."""
        snapshot.connection.settimeout(RESTORE_SECONDS)
        try:
            send_request(snapshot.connection, request, descriptors)
            frame = FrameSocket(snapshot.connection).receive()
            if frame is None:
                raise OSError("the snapshot is gone")
            response = decode_response(frame[1][0])
            if not isinstance(response, SnapshotForked):
                raise MessageError(f"expected SnapshotForked, found {type(response).__name__}")
        except (OSError, MessageError):
            self.end([snapshot])
            return None
        snapshot.connection.settimeout(None)
        self.snapshots.remove(snapshot)
        self.snapshots.append(snapshot)
        snapshot.used = time.time()
        return response.pid

    def end(self, snapshots: Iterable[Snapshot]) -> None:
        """Kill the processes of snapshots; kernels that were forked from them go on."""
        for one in list(snapshots):
            self.snapshots.remove(one)
            with contextlib.suppress(ProcessLookupError):  # only the parent waits for it, so the id is still its own
                os.kill(one.pid, signal.SIGKILL)
            one.connection.close()

    def end_group(self, group: str | None) -> None:
        """Kill the snapshots of a group, or all of them with None."""
        self.end([one for one in self.snapshots if group in (None, one.info.group)])

    def remove_disconnected(self, readable: set[int]) -> None:
        """Forget the snapshots whose connections have ended; `readable` are descriptors that can be read."""
        for one in [one for one in self.snapshots if one.connection.fileno() in readable]:
            with contextlib.suppress(BlockingIOError):
                if not one.connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK):
                    self.end([one])

    def evict(self, kernels: int) -> None:
        """End expired snapshots, and the oldest ones while all take more memory than allowed.

        Args:
            kernels: number of other processes that share this process's memory.
        """
        now = time.time()
        self.end([one for one in self.snapshots if one.expires <= now])
        self.end(self.snapshots[:-MAX_SNAPSHOTS])
        used = [anonymous_memory(one.pid) for one in self.snapshots]
        if sum(used) <= (limit := self._max_bytes() if self.snapshots else 0):
            return
        shared = anonymous_memory(os.getpid())
        # Most of a small process is this process's memory: it can exceed the limit by that much until it is measured.
        interval = EXACT_INTERVAL if sum(max(0, one - shared) for one in used) > limit else self._rare_interval
        start = time.monotonic()
        if start - self._measured < interval:
            return
        while self.snapshots and self.memory(kernels) > self._max_bytes():
            self.end(self.snapshots[:1])
        self._measured = time.monotonic()
        self._rare_interval = max(EXACT_INTERVAL, (self._measured - start) / EXACT_SHARE)

    def _max_bytes(self) -> float:
        return self.snapshots[-1].info.max_bytes

    def memory(self, kernels: int = 0) -> int:
        """Return the bytes that would be free without the snapshots: their shares, less that of this process."""
        if not self.snapshots:
            return 0
        shares = [memory_share(one.pid) for one in self.snapshots]
        total, own = memory_share(os.getpid())
        lent = (total - own) * len(self.snapshots) // (len(self.snapshots) + kernels)
        return max(0, sum(part for _, part in shares) - lent)

    def timeouts(self) -> list[float]:
        """Return for each snapshot the seconds until it expires or memory is due to be estimated."""
        return [min(ROUGH_INTERVAL, max(0.0, one.expires - time.time())) for one in self.snapshots]

    def status(self) -> list[SnapshotStatus]:
        """Return a description of each snapshot."""
        return [
            SnapshotStatus(
                id=one.info.id,
                cell=one.info.cell,
                group=one.info.group,
                output_log=one.info.output_log,
                ttl_minutes=one.info.ttl_minutes,
                max_bytes=one.info.max_bytes,
                labels=one.info.labels,
                pid=one.pid,
                used=one.used,
                expires=one.expires,
            )
            for one in self.snapshots
        ]

    def bequeath(self) -> list[InheritedSnapshot]:
        """Return what this process needs to keep the snapshots when it restarts; their connections stay open."""
        for one in self.snapshots:
            os.set_inheritable(one.connection.fileno(), True)
        return [
            InheritedSnapshot(descriptor=one.connection.fileno(), info=one.info, used=one.used)
            for one in self.snapshots
        ]

    def inherit(self, inherited: Iterable[InheritedSnapshot]) -> None:
        """Keep the snapshots that this process had before it restarted."""
        for one in inherited:
            with contextlib.suppress(OSError):
                connection = socket.socket(fileno=one.descriptor)
                connection.set_inheritable(False)
                self.add(connection, one.info, one.used)


def anonymous_memory(pid: int) -> int:
    """Return the bytes of a process's memory that belong to no file, shared with other processes or not."""
    try:
        _, resident, shared = Path(f"/proc/{pid}/statm").read_text().split()[:3]
    except OSError:
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def memory_share(pid: int) -> tuple[int, int]:
    """Return the bytes of a process's memory that belong to no file, and its proportional share of them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0, 0
    fields = {name: value for name, _, value in (line.partition(":") for line in lines[1:])}
    total, share = (int(fields.get(name, "0 kB").split()[0]) * 1024 for name in ("Anonymous", "Pss_Anon"))
    return total, share
