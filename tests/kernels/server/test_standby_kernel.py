"""A queued request closes its connection and its descriptors; a fork leaves the parent's frames."""

import os
import socket
from pathlib import Path
from typing import cast

import pytest

from mlnb.kernels.protocol.messages import StartKernel
from mlnb.kernels.protocol.parent_paths import ParentPaths
from mlnb.kernels.server.standby_kernel import ForkedChild, QueuedRequest

REQUEST = cast(StartKernel, None)


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
