"""Frames over one Unix socket between the driver, the warm parent and a kernel.

A frame is a channel (one byte) and any number of byte strings. One connection carries all that a kernel needs:

    driver -> parent   REQUEST with the descriptors that become the kernel's standard output and error
    parent -> driver   RESPONSE
    kernel -> driver   READY, then SHELL replies, IOPUB messages, SNAPSHOT results, and EXITING at the end
    driver -> kernel   SHELL requests, SNAPSHOT to take one, SHUTDOWN
"""

import array
import socket
import struct
import threading
from collections.abc import Iterable, Iterator

from mlnb.kernels.protocol.messages import (
    AnyRequest,
    Message,
    MessageError,
    Request,
    Response,
    StartKernel,
    decode_request,
    encode,
)

HEADER = struct.Struct("<cI")  # channel, number of parts
SIZE = struct.Struct("<Q")  # bytes of one part
CHUNK = 1 << 18  # bytes read at once
REQUEST, RESPONSE, READY, SHELL, IOPUB, SNAPSHOT, SHUTDOWN, EXITING = b"r", b"a", b"h", b"s", b"i", b"f", b"q", b"b"
Frame = tuple[bytes, list[bytes]]  # channel, parts
KernelRequest = tuple[StartKernel, list[int]]  # and descriptors: connection to the driver, its standard streams


def pack(channel: bytes, parts: Iterable[bytes]) -> bytes:
    """Return one frame as bytes."""
    parts = [bytes(part) for part in parts]
    return b"".join([HEADER.pack(channel, len(parts)), *(SIZE.pack(len(part)) for part in parts), *parts])


class FrameDecoder:
    """Turns a stream of bytes into frames, wherever the stream was cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; yield each frame that is complete."""
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < HEADER.size:
            return None
        channel, count = HEADER.unpack_from(buffer)
        start = HEADER.size + count * SIZE.size
        if len(buffer) < start:
            return None
        sizes = [SIZE.unpack_from(buffer, HEADER.size + n * SIZE.size)[0] for n in range(count)]
        if len(buffer) < start + sum(sizes):
            return None
        parts = []
        for size in sizes:
            parts.append(bytes(buffer[start : start + size]))
            start += size
        del buffer[:start]
        return channel, parts


class FrameSocket:
    """Sends whole frames through a socket, from any thread, and receives them.

    Args:
        connection: the socket; without one, frames are discarded until `attach` is called.
    """

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._decoder = FrameDecoder()
        self._received: list[Frame] = []

    @property
    def connection(self) -> socket.socket:
        """The socket. Raises `OSError` while there is none."""
        if self._connection is None:
            raise OSError("not connected yet")
        return self._connection

    def attach(self, connection: socket.socket) -> None:
        """Send and receive through this socket from now on."""
        self._connection = connection
        self._lock = threading.Lock()  # the old one may be held by a thread that was not forked
        self._decoder = FrameDecoder()

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.connection.fileno()

    def send(self, channel: bytes, parts: Iterable[bytes]) -> None:
        """Send one frame. Raises `OSError` when the other side is gone."""
        self.send_packed(pack(channel, parts))

    def send_message(self, channel: bytes, message: Message) -> None:
        """Send one message. Raises `OSError` when the other side is gone."""
        self.send(channel, [encode(message)])

    def send_packed(self, data: bytes) -> None:
        """Send bytes made by `pack`."""
        with self._lock:
            if self._connection is not None:
                self._connection.sendall(data)

    def receive_available(self) -> list[Frame] | None:
        """Return the frames that have arrived, without waiting; None when the other side is gone."""
        try:
            data = self.connection.recv(CHUNK, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None
        return list(self._decoder.feed(data)) if data else None

    @property
    def has_frame(self) -> bool:
        """Whether a frame has arrived that `receive` returns without waiting."""
        return bool(self._received)

    def receive(self) -> Frame | None:
        """Wait for the next frame; return None when the other side is gone."""
        while not self._received:
            try:
                data = self.connection.recv(CHUNK)
            except ConnectionError:
                return None
            if not data:
                return None
            self._received += self._decoder.feed(data)
        return self._received.pop(0)

    def close(self) -> None:
        """Close the socket."""
        self.connection.close()


def send_request(connection: socket.socket, request: Request, descriptors: list[int]) -> None:
    """Send a request together with descriptors of this process."""
    data = pack(REQUEST, [encode(request)])
    sent = socket.send_fds(connection, [data], descriptors) if descriptors else 0
    if sent < len(data):
        connection.sendall(data[sent:])


def receive_request(connection: socket.socket, max_descriptors: int = 4) -> tuple[AnyRequest, list[int]]:
    """Wait for a request; return it and the descriptors sent with it. Raises `MessageError` for anything else."""
    decoder, descriptors = FrameDecoder(), list[int]()
    while True:
        data, received = receive_with_descriptors(connection, CHUNK, max_descriptors)
        descriptors += received
        if not data:
            raise MessageError("expected a request, found the end of the connection")
        for channel, parts in decoder.feed(data):
            if channel != REQUEST or len(parts) != 1:
                raise MessageError(f"expected a request, found a frame on channel {channel!r}")
            return decode_request(parts[0]), descriptors


def send_response(connection: socket.socket, response: Response) -> None:
    """Send a response."""
    connection.sendall(pack(RESPONSE, [encode(response)]))


def receive_with_descriptors(connection: socket.socket, size: int, max_descriptors: int) -> tuple[bytes, list[int]]:
    """Wait for at most `size` bytes; return them and the descriptors sent with them, closed on exec.

    `socket.recv_fds` ignores its flags in several versions of Python and leaves the descriptors inheritable.
    """
    received = array.array("i")
    space = socket.CMSG_LEN(max_descriptors * received.itemsize)
    data, ancillary, _, _ = connection.recvmsg(size, space, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(content[: len(content) - len(content) % received.itemsize])
    return data, list(received)
