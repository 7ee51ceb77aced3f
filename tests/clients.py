"""Clients that send requests without a pause."""

import threading
from typing import Self


class Clients:
    """Threads that each run `ask` inside the block; `ask` returns soon after `ending` is set."""

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
        """Send requests until `ending` is set."""
        raise NotImplementedError("a test defines how its clients send requests")
