"""Requests that wait for a kernel, a kernel that waits for a request, and how it leaves the parent's code."""

import os
import socket
from dataclasses import dataclass

from mlnb.kernels.protocol.messages import StartKernel
from mlnb.kernels.protocol.parent_paths import ParentPaths


@dataclass(frozen=True)
class QueuedRequest:
    """A request for a kernel that waits for capacity, and the descriptors of the driver's standard streams."""

    connection: socket.socket
    request: StartKernel
    descriptors: list[int]

    def close(self) -> None:
        """Close the connection and the descriptors in this process."""
        self.connection.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True)
class StandbyKernel:
    """A forked kernel that has its shell and waits at the other end of `link` for a request like `request`."""

    pid: int
    link: socket.socket
    request: StartKernel


class ForkedChild(BaseException):
    """Raised in a process just forked, so that it leaves all of the parent's frames: its stack is a kernel's own.

    Args:
        paths: where the parent listens.
        link: the socket on which the kernel's request arrives.
        request: what the kernel is prepared for.
    """

    def __init__(self, paths: ParentPaths, link: socket.socket, request: StartKernel) -> None:
        super().__init__()
        self.paths = paths
        self.link = link
        self.request = request
