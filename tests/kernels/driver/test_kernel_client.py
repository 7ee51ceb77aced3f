"""The client sorts a kernel's frames into channels, waits in an event loop, and notices when the kernel is gone."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest
from jupyter_client.session import Session

from mlnb.kernels.driver.kernel_client import ForkedKernelClient
from mlnb.kernels.protocol.messages import SnapshotInfo, SnapshotResult
from mlnb.kernels.protocol.wire import EXITING, IOPUB, SHELL, SNAPSHOT, FrameSocket

INFO = SnapshotInfo(id="s", cell=1, group="g", output_log="", ttl_minutes=1.0, max_bytes=1.0)


class Kernel:
    """The other end of a client's connection: a process that sleeps, and a session with the same key."""

    def __init__(self, connection: socket.socket) -> None:
        self.process = subprocess.Popen(["sleep", "60"])
        self.frames = FrameSocket(connection)
        self.session = Session(key=b"key")

    def send(self, channel: bytes, kind: str, parent: dict[str, Any] | None = None) -> None:
        self.frames.send(channel, self.session.serialize(self.session.msg(kind, {}, parent=parent)))

    def receive(self) -> dict[str, Any]:
        frame = self.frames.receive()
        assert frame is not None and frame[0] == SHELL
        return self.session.deserialize(self.session.feed_identities(frame[1])[1])


Pair = tuple[ForkedKernelClient, Kernel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    kernel = Kernel(theirs)
    client = ForkedKernelClient(FrameSocket(ours), os.pidfd_open(kernel.process.pid), "key")
    yield client, kernel
    client.stop_channels()
    kernel.process.kill()
    kernel.process.wait()
    theirs.close()


def test_a_request_is_pending_until_its_reply(pair: Pair) -> None:
    client, kernel = pair
    message_id = client.execute("1 + 1")
    request = kernel.receive()
    assert request["content"]["code"] == "1 + 1" and request["header"]["msg_id"] == message_id
    assert client.pending == {message_id}
    kernel.send(IOPUB, "stream", request["header"])
    kernel.send(SHELL, "execute_reply", request["header"])
    reply = asyncio.run(client.shell_channel.get_msg())
    assert reply["msg_type"] == "execute_reply" and client.pending == set()
    assert asyncio.run(client.iopub_channel.get_msg(timeout=1))["msg_type"] == "stream"
    with pytest.raises(Empty):
        asyncio.run(client.iopub_channel.get_msg(timeout=0.01))


def test_a_message_with_another_signature_is_an_error(pair: Pair) -> None:
    client, kernel = pair
    kernel.session = Session(key=b"another")
    kernel.send(IOPUB, "stream")
    with pytest.raises(ValueError, match="Signature"):
        client.receive()


def test_the_end_of_the_process_is_noticed_while_its_connection_is_open(pair: Pair) -> None:
    client, kernel = pair

    async def use() -> None:
        asyncio.get_running_loop().call_later(0.05, os.kill, kernel.process.pid, signal.SIGKILL)
        await client.wait_for_exit()

    asyncio.run(use())
    assert client.dead and not client.is_alive()


def test_messages_of_a_dead_kernel_are_still_read(pair: Pair) -> None:
    client, kernel = pair
    kernel.send(IOPUB, "stream")
    kernel.frames.send(EXITING, [])
    kernel.frames.close()
    client.receive()
    assert client.dead and client.exiting and client.is_alive()
    asyncio.run(client.iopub_channel.get_msg())
    assert not client.is_alive()


def test_the_result_of_a_snapshot_is_returned(pair: Pair) -> None:
    client, kernel = pair
    for error in (None, "a thread is running"):
        kernel.frames.send_message(SNAPSHOT, SnapshotResult(error=error))
        assert asyncio.run(client.take_snapshot(INFO)) == error
    kernel.frames.close()
    assert asyncio.run(client.take_snapshot(INFO)) in ("the kernel is gone", "it does not respond")
