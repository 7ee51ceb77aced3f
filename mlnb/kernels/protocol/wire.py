"""Frames over one Unix socket: what the driver, the warm parent and a kernel say to each other.

A message is a channel (one byte) and any number of byte strings. One connection carries all that a kernel needs:

    driver -> parent   r  a request (JSON), with the descriptors that become the kernel's standard output and error
    parent -> driver   a  an answer (JSON)
    kernel -> driver   h  hello (JSON: its process id, the state it goes on from), then s replies, i what it publishes,
                       f  whether its state was kept, b bye: it leaves
    driver -> kernel   s  a Jupyter request, f keep your state (JSON: what it is), q leave
"""

import array
import json
import socket
import struct
import threading
from collections.abc import Iterable, Iterator
from typing import Any

HEAD = struct.Struct("<cI")  # channel, number of parts
SIZE = struct.Struct("<Q")  # bytes of one part
CHUNK = 1 << 18
Message = tuple[bytes, list[bytes]]


def pack(channel: bytes, parts: Iterable[bytes]) -> bytes:
    """Return one message as bytes."""
    parts = [bytes(part) for part in parts]
    return b"".join([HEAD.pack(channel, len(parts)), *(SIZE.pack(len(part)) for part in parts), *parts])


class Reader:
    """Makes messages of the bytes that it is fed, however they were cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take bytes; yield each message that is now whole."""
        self._buffer += data
        while (message := self._next()) is not None:
            yield message

    def _next(self) -> Message | None:
        buffer = self._buffer
        if len(buffer) < HEAD.size:
            return None
        channel, count = HEAD.unpack_from(buffer)
        start = HEAD.size + count * SIZE.size
        if len(buffer) < start:
            return None
        sizes = [SIZE.unpack_from(buffer, HEAD.size + n * SIZE.size)[0] for n in range(count)]
        if len(buffer) < start + sum(sizes):
            return None
        parts = []
        for size in sizes:
            parts.append(bytes(buffer[start : start + size]))
            start += size
        del buffer[:start]
        return channel, parts


class Wire:
    """A connected socket that sends whole messages, from any thread."""

    def __init__(self, connection: socket.socket | None) -> None:
        self._connection = connection  # without one, what is sent is lost: nobody listens yet
        self._lock = threading.Lock()
        self._reader = Reader()
        self._ready: list[Message] = []

    @property
    def connection(self) -> socket.socket:
        """The socket; raises OSError while there is none."""
        if self._connection is None:
            raise OSError("not connected yet")
        return self._connection

    def attach(self, connection: socket.socket) -> None:
        """Send and receive through a socket from now on."""
        self._connection = connection
        self._lock = threading.Lock()  # whoever held it may be in another process
        self._reader = Reader()

    def fileno(self) -> int:
        """Return the descriptor, for select."""
        return self.connection.fileno()

    def send(self, channel: bytes, parts: Iterable[bytes]) -> None:
        """Send one message whole; raises OSError when nobody listens any more."""
        self.send_packed(pack(channel, parts))

    def send_packed(self, data: bytes) -> None:
        """Send bytes that `pack` has made."""
        with self._lock:
            if self._connection is not None:
                self._connection.sendall(data)

    def available(self) -> list[Message] | None:
        """Return the messages that have arrived, without waiting; None when the other side is gone."""
        try:
            data = self.connection.recv(CHUNK, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None
        return list(self._reader.feed(data)) if data else None

    def receive(self) -> Message | None:
        """Wait for the next message; None when the other side is gone."""
        while not self._ready:
            try:
                data = self.connection.recv(CHUNK)
            except ConnectionError:
                return None
            if not data:
                return None
            self._ready += self._reader.feed(data)
        return self._ready.pop(0)

    def close(self) -> None:
        """Let go of the socket."""
        self.connection.close()


def request(connection: socket.socket, asked: dict[str, Any], descriptors: list[int]) -> None:
    """Send a request, and descriptors of this process with it."""
    data = pack(b"r", [json.dumps(asked).encode()])
    sent = socket.send_fds(connection, [data], descriptors) if descriptors else 0
    if sent < len(data):
        connection.sendall(data[sent:])


def requested(connection: socket.socket, most: int = 4) -> tuple[dict[str, Any], list[int]]:
    """Wait for a request; return it with the descriptors that came along. Raises ValueError when it is none."""
    reader, descriptors = Reader(), list[int]()
    while True:
        data, received = received_with(connection, CHUNK, most)
        descriptors += received
        if not data:
            raise ValueError("the other side left before it had asked")
        for channel, parts in reader.feed(data):
            if channel != b"r" or len(parts) != 1:
                raise ValueError(f"expected a request, found a message on channel {channel!r}")
            return json.loads(parts[0]), descriptors


def received_with(connection: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Wait for bytes; return them with the descriptors that came along, which no other program inherits.

    `socket.recv_fds` leaves its flags unused in several versions of Python, and its descriptors inheritable.
    """
    found = array.array("i")
    room = socket.CMSG_LEN(most * found.itemsize)
    data, extras, _, _ = connection.recvmsg(size, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, content in extras:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    return data, list(found)
