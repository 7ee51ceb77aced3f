"""An endpoint that is called without a server, while a heartbeat measures how long the event loop was blocked."""

import asyncio
import ctypes
import errno
import json
import platform
import sys
import time
from dataclasses import dataclass, field

import psutil

from mlnb.serving.runtime.endpoint import Endpoint

CHUNK = 65_536  # bytes of a body that ASGI delivers at a time
BEAT = 0.002  # seconds between two beats
BLOCKED = 0.05  # seconds
KCMP = {"x86_64": 312, "aarch64": 272}  # number of the system call
GOOD = {"age": 31.0, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}


@dataclass
class Seen:
    """What one or more requests at a time got, and did.

    Attributes:
        replies: status and body of each request.
        blocked: longest time in seconds that the event loop did not run. Time in which other processes had the
            processor does not count.
    """

    replies: list[tuple[int, bytes]] = field(default_factory=list)
    blocked: float = 0.0

    @property
    def statuses(self) -> list[int]:
        """The status of each request."""
        return [status for status, _ in self.replies]


def attack(endpoint: Endpoint, bodies, kind="application/json", query=b"", headers=()) -> Seen:
    """Send bodies at the same time."""
    seen = Seen()
    given = [(b"content-type", kind.encode()), *headers]
    scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": query, "headers": given}

    async def ask(body):
        position, out = 0, []

        async def receive():
            nonlocal position
            await asyncio.sleep(0)
            part = body[position : position + CHUNK]
            position += CHUNK
            return {"type": "http.request", "body": part, "more_body": position < len(body)}

        async def send(message):
            out.append(message)

        await endpoint(dict(scope), receive, send)
        seen.replies.append((out[0]["status"], out[1]["body"]))

    async def beat():
        last, used = time.perf_counter(), time.process_time()
        while True:
            await asyncio.sleep(BEAT)
            now, processor = time.perf_counter(), time.process_time()
            seen.blocked = max(seen.blocked, min(now - last, processor - used) - BEAT)
            last, used = now, processor

    async def run():
        beating = asyncio.ensure_future(beat())
        await asyncio.sleep(0)  # the first beat starts before the first request
        await asyncio.gather(*map(ask, bodies))
        await asyncio.sleep(2 * BEAT)  # the last beat ends after the last request
        beating.cancel()

    asyncio.run(run())
    return seen


def attack_again(endpoint: Endpoint, bodies, kind="application/json") -> Seen:
    """Send bodies up to three times, until the event loop is blocked for less than `BLOCKED`; return the last.

    A machine that is slow for a moment makes one attack longer; what the endpoint does takes as long in each: on an
    idle machine at most 18 ms in every attack of this test suite, and next to two busy processes 40 ms.
    """
    for _ in range(3):
        seen = attack(endpoint, bodies, kind)
        if seen.blocked < BLOCKED:
            break
    return seen


class Memory:
    """The most memory in bytes that this process and its children take inside a `with` block, above the start.

    Of children only the pages count that they do not share: a child that was just forked shares all of its parent's.
    A child that has not started its program yet (vfork) runs in the memory of its parent, and does not count.
    """

    def __enter__(self):
        from threading import Event, Thread

        self.start, self.most, self.ending = self._now(), 0, Event()
        self.thread = Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()

    def _watch(self):
        while not self.ending.wait(0.01):
            self.most = max(self.most, self._now() - self.start)

    def _now(self):
        parent = psutil.Process()
        total = parent.memory_info().rss
        for child in parent.children(recursive=True):
            try:
                if not shares_memory(child.pid, child.ppid()):
                    total += child.memory_full_info().uss
            except psutil.NoSuchProcess:
                continue
        return total


def shares_memory(one: int, other: int) -> bool:
    """Return whether two processes are in one address space, as Linux's `kcmp` compares them."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    order = libc.syscall(KCMP[platform.machine()], one, other, 1, 0, 0)  # 1: KCMP_VM
    if order < 0 and ctypes.get_errno() != errno.ESRCH:
        raise OSError(ctypes.get_errno(), "kcmp")
    return order == 0


def rows(count: int) -> bytes:
    """Return a body of good rows."""
    return json.dumps([GOOD] * count).encode()
