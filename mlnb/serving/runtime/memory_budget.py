"""A limit on the memory of the requests in progress: what one request takes is reserved before it is taken."""

import threading
from types import TracebackType

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.request_bodies import BadRequest, too_large

POOL = 3 / 8  # share of the limit for bodies, rows and responses; the process that decodes tables has as much


class MemoryBudget:
    """Bytes that the requests of one process may hold at a time.

    Args:
        limit: in bytes, of the process and its table decoder, above what they take without requests.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pool = int(POOL * limit)
        self.used = 0
        self._lock = threading.Lock()

    def take(self, amount: int, held: int) -> None:
        """Take `amount` bytes for a request that holds `held` already.

        Raises:
            BadRequest: with status 413 when one request would take it all, 503 when others have it.
        """
        with self._lock:
            if held + amount > self.pool:
                expected = f"rows and responses of at most {self.pool / 2**20:,.0f} MB in one request"
                raise too_large(f"more than {self.pool / 2**20:,.0f} MB", expected)
            if self.used + amount > self.pool:
                found, expected = "a service whose memory is in use", "fewer large requests at a time; try again later"
                problem = RowProblem(row=None, column=None, found=found, expected=expected)
                raise BadRequest(f"found {found}, expected {expected}", [problem], 503)
            self.used += amount

    def give_back(self, amount: int) -> None:
        """Return bytes that a request has taken."""
        with self._lock:
            self.used -= amount


class Reservation:
    """What one request holds of a budget, returned at the end of a `with` block."""

    __slots__ = ("budget", "held")

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget, self.held = budget, 0

    def take(self, amount: int) -> None:
        """Take more bytes. Raises `BadRequest` as `MemoryBudget.take`."""
        self.budget.take(amount, self.held)
        self.held += amount

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Return what the request has taken."""
        if self.held:
            self.budget.give_back(self.held)
            self.held = 0
