"""A queued request closes its descriptors, standby kernels their links; a fork leaves the parent's frames."""

import os
import socket
from pathlib import Path
from typing import cast

import pytest

from mlnb.kernels.protocol.messages import StartKernel
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.server.forked_process import KernelEntry
from mlnb.kernels.server.standby_kernel import MAX_STANDBY, ForkedChild, QueuedRequest, StandbyKernel, StandbyKernels

REQUEST = cast(StartKernel, None)
OTHER = cast(StartKernel, "another")


class Entry:
    """A kernel serves the request that it is prepared for."""

    def fits(self, prepared: StartKernel, request: StartKernel) -> bool:
        return prepared is request


def test_a_request_closes_its_connection_and_descriptors() -> None:
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    QueuedRequest(ours, REQUEST, [read, write]).close()
    assert theirs.recv(1) == b""
    for descriptor in (read, write):
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
    theirs.close()


def test_no_handler_of_exceptions_keeps_a_fork_in_the_parent_s_code(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ForkedChild) as raised:
        try:
            raise ForkedChild(ParentPaths(tmp_path, "key"), ours, REQUEST)
        except Exception:
            pytest.fail("caught")
    assert raised.value.link is ours and raised.value.paths.key == "key"


def test_standby_kernels_serve_in_their_order_and_only_requests_that_they_are_prepared_for() -> None:
    entry = cast(KernelEntry, Entry())
    kernels, ends = StandbyKernels(), []
    for pid in range(MAX_STANDBY + 1):
        ours, theirs = socket.socketpair()
        kernels.add(StandbyKernel(pid, ours, OTHER))
        ends.append(theirs)
        assert kernels.next_request() is (OTHER if pid + 1 < MAX_STANDBY else None)
    first = kernels.take(entry, OTHER)
    assert first is not None and first.pid == 0
    first.link.close()
    kernels.forget({1, 99})
    assert ends[1].recv(1) == b"" and kernels.next_request() is OTHER
    assert kernels.take(entry, REQUEST) is None and kernels.next_request() is None  # they are ended
    for end in ends:
        assert end.recv(1) == b""
        end.close()
