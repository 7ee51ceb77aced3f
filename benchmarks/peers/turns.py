"""Servers that are measured in turn: each while the others are suspended, on a core that the client does not use."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psutil

from peers.load import measure

ROUNDS = 5
SECONDS = 2.0  # of each load


@dataclass(frozen=True)
class Turn:
    """What one load on one server showed.

    Args:
        rate: Requests a second.
        middle: Median of the milliseconds of a request.
        late: Milliseconds within which 99 % of the requests were handled.
        processor: Processor microseconds of the server for a request.
    """

    rate: float
    middle: float
    late: float
    processor: float


def processor_seconds(process: psutil.Process) -> float:
    """Return what a server and its workers have used."""
    times = [one.cpu_times() for one in family(process)]
    return sum(each.user + each.system for each in times)


def family(process: psutil.Process) -> list[psutil.Process]:
    """Return a server and its workers."""
    return [process, *process.children(recursive=True)]


def load(port: int, process: psutil.Process, rows: list[dict[str, Any]], seconds: float) -> Turn:
    """Return what a load of single rows on a server showed."""
    before, began = processor_seconds(process), time.monotonic()
    rate, middle, late = measure(port, rows, seconds)
    used = processor_seconds(process) - before
    return Turn(rate, middle, late, used / max(rate * (time.monotonic() - began), 1) * 1e6)


def take_turns(
    servers: Mapping[str, tuple[int, psutil.Process]], rows: list[dict[str, Any]], rounds: int = ROUNDS
) -> dict[str, list[Turn]]:
    """Return the turns of each server, which runs only during them: after a second that is not counted, in each round.

    Args:
        servers: port and process by name.
        rows: of the requests.
        rounds: turns of each server.
    """
    turns: dict[str, list[Turn]] = {name: [] for name in servers}
    everyone = [one for _, process in servers.values() for one in family(process)]
    try:
        for one in everyone:
            one.suspend()
        for _ in range(rounds):
            for name, (port, process) in servers.items():
                for one in family(process):
                    one.resume()
                measure(port, rows, 1)
                turns[name].append(load(port, process, rows, SECONDS))
                for one in family(process):
                    one.suspend()
    finally:
        for one in everyone:
            with suppress(psutil.NoSuchProcess):
                one.resume()
    return turns


def split_cores() -> tuple[set[int], set[int]]:
    """Return the cores of servers and those of their client: one and the others, or the same where there is but one."""
    if not hasattr(os, "sched_getaffinity"):  # macOS and Windows
        return set(), set()
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Start programs on some cores while inside; on all where `cores` is empty."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
