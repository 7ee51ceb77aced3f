"""Requests that wait for a kernel, kernels that wait for a request, and how they leave the parent's code."""

import os
import socket
from collections.abc import Collection
from dataclasses import dataclass

from mlnb.kernels.protocol.messages import StartKernel
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.server.forked_process import KernelEntry

MAX_STANDBY = 2  # preparing a kernel takes longer than a short notebook, and less than most


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


class StandbyKernels:
    """The kernels of one parent that wait for a request; all are prepared for the same."""

    def __init__(self) -> None:
        self._kernels: list[StandbyKernel] = []

    def add(self, kernel: StandbyKernel) -> None:
        """Add a kernel just forked."""
        self._kernels.append(kernel)

    def take(self, entry: KernelEntry, request: StartKernel) -> StandbyKernel | None:
        """Return the kernel that was forked first, None when there is none; end those prepared for other requests."""
        if self._kernels and not entry.fits(self._kernels[0].request, request):
            self.close()
        return self._kernels.pop(0) if self._kernels else None

    def forget(self, ended: Collection[int]) -> None:
        """Forget the kernels whose processes have ended."""
        for kernel in [kernel for kernel in self._kernels if kernel.pid in ended]:
            kernel.link.close()
            self._kernels.remove(kernel)

    def next_request(self) -> StartKernel | None:
        """Return for which request another one is to be forked; None when there are none, or enough."""
        return self._kernels[0].request if 0 < len(self._kernels) < MAX_STANDBY else None

    def close(self) -> None:
        """Close the links of all kernels in this process: they end when the parent has closed them."""
        for kernel in self._kernels:
            kernel.link.close()
        self._kernels.clear()


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
