"""Wait in a test until something happens."""

import time
from collections.abc import Callable
from typing import Any


def wait_for(
    condition: Callable[[], Any],
    seconds: float,
    what: str,
    ignoring: tuple[type[Exception], ...] = (),
    detail: Callable[[], object] | None = None,
    pause: float = 0.02,
) -> Any:
    """Return the first true value of `condition`, which is called again until then.

    Args:
        condition: What is awaited.
        seconds: Time to wait at most; on a busy machine everything takes several times as long.
        what: What is awaited, in words, for the message.
        ignoring: Exceptions of `condition` that count as "not yet", such as of a file that is not there.
        detail: Called on failure for more of the message, such as a log.
        pause: Seconds between two calls.

    Raises:
        AssertionError: The condition is still false after the time; the message names `what`.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            if last := condition():
                return last
        except ignoring as error:
            last = repr(error)
        if time.monotonic() >= deadline:
            more = f"\n{detail()}" if detail else ""
            raise AssertionError(f"after {seconds:g} s: {what} not seen, last: {last!r}{more}")
        time.sleep(pause)
