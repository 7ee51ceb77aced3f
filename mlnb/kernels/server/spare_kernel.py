"""A kernel that waits for a notebook, and how its process comes out of the parent's code."""

import socket
from dataclasses import dataclass
from typing import Any


class Forked(BaseException):
    """Raised in a kernel just forked, out of all that the parent does: its stack is then as short as any kernel's."""

    def __init__(self, *kernel: Any) -> None:
        super().__init__()
        self.kernel = kernel


@dataclass(frozen=True)
class Spare:
    """A kernel that was forked ahead: it has its shell and waits at the other end of `link` for a notebook."""

    pid: int
    link: socket.socket
    asked: dict[str, Any]
