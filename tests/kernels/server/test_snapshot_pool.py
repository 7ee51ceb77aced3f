"""Snapshots are found, restored, evicted and inherited; one whose process has ended is removed."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import msgspec
import pytest
from waiting import wait_for

from kernels.protocol.test_messages import START
from mlnb.kernels.protocol.messages import SnapshotForked, SnapshotInfo
from mlnb.kernels.protocol.wire import receive_request, send_response
from mlnb.kernels.server import snapshot_pool
from mlnb.kernels.server.snapshot_pool import Snapshot, SnapshotPool

INFO = SnapshotInfo(id="a", cell=1, group="g", output_log="log", ttl_minutes=5.0, max_bytes=1e12, labels={"run": "r"})
Waiting = tuple[socket.socket, subprocess.Popen[bytes]]


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """A connection to a process that waits, and the process."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with ours, theirs:
        yield ours, process
    process.kill()
    process.wait()


@pytest.fixture
def pool() -> Iterator[SnapshotPool]:
    """A pool whose connections are closed after the test."""
    pool = SnapshotPool()
    yield pool
    for snapshot in pool.snapshots:
        snapshot.connection.close()


def add(pool: SnapshotPool, waiting: Waiting, **changes: object) -> Snapshot:
    """Add a snapshot whose process is the one that waits."""
    pool.add(waiting[0].dup(), msgspec.structs.replace(INFO, **changes))
    pool.snapshots[-1].pid = waiting[1].pid
    return pool.snapshots[-1]


def test_a_snapshot_is_found_by_its_id_and_replaces_the_older_one(pool: SnapshotPool, waiting: Waiting) -> None:
    first = add(pool, waiting)
    assert pool.find("a") is first and pool.find("b") is None
    pool.add(waiting[0].dup(), INFO)
    assert pool.find("a") is not first and len(pool.snapshots) == 1
    assert waiting[1].wait(10) == -9


def test_its_process_id_is_that_of_the_other_end(pool: SnapshotPool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        pool.add(ours, INFO)
        assert pool.snapshots[0].pid == os.getpid()


def test_a_group_ends_together(pool: SnapshotPool, waiting: Waiting) -> None:
    add(pool, waiting)
    pool.end_group("other")
    assert len(pool.snapshots) == 1
    pool.end_group("g")
    assert pool.snapshots == [] and waiting[1].wait(10) == -9
    add(pool, waiting)
    pool.end_group(None)
    assert pool.snapshots == []


def test_restoring_forks_a_kernel_and_counts_as_use(pool: SnapshotPool) -> None:
    ours, theirs = socket.socketpair()
    requests = []

    def respond() -> None:
        requests.append(receive_request(theirs))
        send_response(theirs, SnapshotForked(pid=77))

    with theirs:
        pool.add(ours, INFO, used=1.0)
        thread = threading.Thread(target=respond)
        thread.start()
        assert pool.restore(pool.snapshots[0], START, []) == 77
        thread.join()
        assert requests[0][0].notebook == START.notebook and pool.snapshots[0].used > 1.0


def test_a_dead_snapshot_restores_nothing(
    pool: SnapshotPool, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_pool, "RESTORE_SECONDS", 0.1)
    snapshot = add(pool, waiting)
    assert pool.restore(snapshot, START, []) is None and pool.snapshots == []


def test_a_snapshot_whose_connection_ended_is_removed(pool: SnapshotPool, waiting: Waiting) -> None:
    ours, theirs = socket.socketpair()
    pool.add(ours, INFO)
    pool.snapshots[0].pid = waiting[1].pid
    descriptor = ours.fileno()
    pool.remove_disconnected({descriptor + 1000})
    assert pool.snapshots
    theirs.close()
    pool.remove_disconnected({descriptor})
    assert pool.snapshots == []


def test_an_expired_snapshot_is_evicted(pool: SnapshotPool, waiting: Waiting) -> None:
    add(pool, waiting, ttl_minutes=0.0)
    assert pool.timeouts() == [0.0]
    pool.evict(0)
    assert pool.snapshots == []


def test_the_oldest_is_evicted_above_the_memory_limit(
    pool: SnapshotPool, waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_pool, "anonymous_memory", lambda pid: 100)
    monkeypatch.setattr(snapshot_pool, "memory_share", lambda pid: (0, 0) if pid == os.getpid() else (100, 100))
    add(pool, waiting, id="old", max_bytes=150.0)
    add(pool, waiting, id="new", max_bytes=150.0)
    pool.evict(0)
    assert [one.info.id for one in pool.snapshots] == ["new"] and pool.memory() == 100


@pytest.mark.parametrize(("own_memory", "seconds"), [(40, 10.0), (400, 1.0)])
def test_memory_is_measured_rarely_while_little_can_be_affected(
    pool: SnapshotPool, waiting: Waiting, monkeypatch: pytest.MonkeyPatch, own_memory: int, seconds: float
) -> None:
    now, measured = [100.0], list[float]()

    def memory_share(pid: int) -> tuple[int, int]:
        measured.append(now[0])
        now[0] += 0.1  # seconds for each of the two processes
        return 0, 0

    monkeypatch.setattr(snapshot_pool.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(snapshot_pool, "anonymous_memory", lambda pid: 200 + own_memory * (pid != os.getpid()))
    monkeypatch.setattr(snapshot_pool, "memory_share", memory_share)
    add(pool, waiting, max_bytes=100.0)
    for _ in range(130):
        pool.evict(0)
        now[0] += 0.1
    first, second = measured[0], measured[2]
    assert second - first == pytest.approx(seconds + 0.2, abs=0.15)


def test_the_status_describes_a_snapshot(pool: SnapshotPool, waiting: Waiting) -> None:
    snapshot = add(pool, waiting)
    (status,) = pool.status()
    assert (status.id, status.pid, status.labels) == ("a", waiting[1].pid, {"run": "r"})
    assert status.expires == snapshot.used + 300


def test_a_restarted_process_inherits_snapshots(pool: SnapshotPool) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        pool.add(ours, INFO, used=3.0)
        (inherited,) = pool.bequeath()
        assert os.get_inheritable(inherited.descriptor)
        again = SnapshotPool()
        again.inherit([inherited, msgspec.structs.replace(inherited, descriptor=9999)])
        (snapshot,) = again.snapshots
        assert (snapshot.info, snapshot.used) == (INFO, 3.0) and not os.get_inheritable(inherited.descriptor)
        snapshot.connection.detach()


def test_memory_is_measured(waiting: Waiting) -> None:
    wait_for(lambda: snapshot_pool.anonymous_memory(waiting[1].pid) > 1 << 20, 30, "memory of the process")
    total, share = snapshot_pool.memory_share(waiting[1].pid)
    assert 0 < share <= total
    assert snapshot_pool.anonymous_memory(1 << 30) == 0 and snapshot_pool.memory_share(1 << 30) == (0, 0)
