"""Frames arrive whole however they are cut, requests bring their descriptors."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlnb.kernels.protocol import wire
from mlnb.kernels.protocol.messages import GetStatus, MessageError, Stopped, decode_response
from mlnb.kernels.protocol.wire import FrameDecoder, FrameSocket, pack

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.lists(st.binary(max_size=50)))), st.integers(1, 40))
def test_frames_are_decoded_however_the_stream_is_cut(frames: list[wire.Frame], size: int) -> None:
    data = b"".join(pack(*frame) for frame in frames)
    decoder = FrameDecoder()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert [frame for piece in pieces for frame in decoder.feed(piece)] == frames


def test_frames_from_several_threads_stay_whole(pair: Pair) -> None:
    sender, receiver = FrameSocket(pair[0]), FrameSocket(pair[1])
    large = bytes(1 << 20)
    threads = [threading.Thread(target=sender.send, args=(b"i", [bytes([n]), large])) for n in range(4)]
    for thread in threads:
        thread.start()
    received = [receiver.receive() for _ in threads]
    for thread in threads:
        thread.join()
    assert sorted(parts[0][0] for _, parts in received) == [0, 1, 2, 3]
    assert all(parts[1] == large for _, parts in received)


def test_the_end_of_the_connection_is_noticed(pair: Pair) -> None:
    receiver = FrameSocket(pair[1])
    assert receiver.receive_available() == []
    pair[0].close()
    assert receiver.receive() is None and receiver.receive_available() is None


def test_without_a_socket_frames_are_discarded(pair: Pair) -> None:
    frames = FrameSocket(None)
    frames.send(b"i", [b"lost"])
    with pytest.raises(OSError, match="not connected"):
        frames.fileno()
    frames.attach(pair[0])
    frames.send(b"i", [b"sent"])
    assert FrameSocket(pair[1]).receive() == (b"i", [b"sent"])


def test_a_request_brings_its_descriptors_closed_on_exec(pair: Pair) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    wire.send_request(pair[0], GetStatus(), [writer])
    request, (descriptor,) = wire.receive_request(pair[1])
    assert request == GetStatus() and not os.get_inheritable(descriptor)
    os.write(descriptor, b"through")
    assert os.read(reader, 10) == b"through"
    for one in (reader, writer, descriptor):
        os.close(one)


def test_anything_else_than_a_request_is_an_error(pair: Pair) -> None:
    pair[0].sendall(pack(b"x", [b"{}"]))
    with pytest.raises(MessageError, match="channel b'x'"):
        wire.receive_request(pair[1])
    pair[0].sendall(pack(wire.REQUEST, [b'{"type": "Unknown"}']))
    with pytest.raises(MessageError, match="Unknown"):
        wire.receive_request(pair[1])
    pair[0].close()
    with pytest.raises(MessageError, match="end of the connection"):
        wire.receive_request(pair[1])


def test_a_response_arrives(pair: Pair) -> None:
    wire.send_response(pair[0], Stopped(pid=7))
    channel, parts = FrameSocket(pair[1]).receive() or (b"", [])
    assert channel == wire.RESPONSE and decode_response(parts[0]) == Stopped(pid=7)
