"""What a further Ctrl-C does while a command ends because of the first."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_next_interrupt(action: Callable[[], None]) -> Iterator[None]:
    """Call `action` for each further Ctrl-C or SIGTERM inside the block, which is not interrupted.

    Without effect in a thread other than the main one, which gets no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        action()

    before = [signal.signal(number, handle) for number in SIGNALS]
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
