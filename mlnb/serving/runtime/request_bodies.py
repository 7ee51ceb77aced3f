"""The limits of a request's body, and the errors that a client receives."""

import json
from collections.abc import Sequence

import msgspec

from mlnb.codec import Record, replace
from mlnb.errors import UsageError
from mlnb.methods.contracts.responses import MASKED, RowProblem
from mlnb.methods.encoding.encoder_interface import UnusableValue

MAX_ROWS = 10_000  # rows of one request; more are a job for batch scoring
MAX_BYTES = 64 * 2**20  # bytes of one body
SHOWN = 20  # problems that are collected and listed in one response

Body = bytes | bytearray  # of a request


class Refusal(Record, frozen=True, kw_only=True):
    """The body of the response to a request that is refused."""

    error: str
    problems: Sequence[RowProblem]

    def encode(self) -> bytes:
        """Return JSON text, by Python's own encoder: the name of a column may hold text that UTF-8 cannot."""
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":")).encode()


class BadRequest(UsageError):
    """A request that cannot be handled.

    Args:
        message: what was found and what was expected.
        problems: one for each reason.
        status: the HTTP status.
    """

    def __init__(self, message: str, problems: Sequence[RowProblem], status: int = 400) -> None:
        super().__init__(message)
        self.problems = problems
        self.status = status

    def refusal(self) -> Refusal:
        """Return the body of the response: the message and the first problems."""
        return Refusal(error=str(self), problems=self.problems[:SHOWN])

    def log_text(self) -> bytes:
        """Return what the service's log has of the response: places and expectations, but no values."""
        if self.status not in (400, 404, 422):  # sizes and types of bodies
            return self.refusal().encode()
        hidden = [replace(problem, found=MASKED) for problem in self.problems[:SHOWN]]
        return Refusal(error="the request does not fit", problems=hidden).encode()


class BadRows(BadRequest):
    """Rows that do not fit the schema; `row`, `column`, `found` and `expected` are those of the first problem."""

    def __init__(self, problems: Sequence[RowProblem]) -> None:
        first, others = problems[0], len(problems) - 1
        least = "at least " if len(problems) >= SHOWN else ""
        more = f" (and {least}{others} more problem{'s' if others > 1 else ''})" if others else ""
        super().__init__(f"{first}{more}", problems, 422)
        self.row, self.column = first.row, first.column
        self.found, self.expected = first.found, first.expected


def refuse_value(error: UnusableValue) -> BadRows:
    """Return the error for rows with a value that an encoder of the project cannot read."""
    return BadRows([RowProblem(row=None, column=error.column, found=error.actual, expected=error.expected)])


def too_large(found: str, expected: str) -> BadRequest:
    """Return the error for a body that should be sent in parts."""
    problem = RowProblem(row=None, column=None, found=found, expected=expected)
    return BadRequest(f"the body: found {found}, expected {expected}; send it in parts", [problem], 413)
