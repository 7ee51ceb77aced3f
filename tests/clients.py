"""Clients that ask without a pause, and waiting for what comes of it."""

import threading
import time
from collections.abc import Callable
from typing import Self


class Clients:
    """Threads that each run `ask` while inside; it ends soon after `ending` is set."""

    def __init__(self, count: int) -> None:
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def ask(self) -> None:
        """Ask until the end."""
        raise AssertionError("a test says how its clients ask")


def until(said: Callable[[], object], seconds: float = 20.0) -> None:
    """Return once `said()` is true."""
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
