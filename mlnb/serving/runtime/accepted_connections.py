"""How a worker accepts connections: one at a time, and with limits of time and number of TLS handshakes.

An event loop accepts all connections that wait before it handles one: of several workers on a socket, one would get
those of a burst, and retain them. An event loop that gets a TLS context accepts any number of connections, and each
takes a file and memory until the time limit of its handshake. `HandshakeServer` accepts only as many as it has space
for.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

from mlnb.serving.runtime.structured_logs import log_event

HANDSHAKES = 500  # of a worker that may be in progress
HANDSHAKE_SECONDS = 10.0  # until a handshake must be complete
LEAST_SECONDS = 1.0  # that a handshake may take when HANDSHAKES are in progress
RETRY_SECONDS = 1.0  # after a connection could not be accepted, as too many files are open
STEPS = 2  # of the event loop until a handshake can be cancelled: asyncio loses the socket of one that has not begun


class HandshakeServer:
    """Accepts connections on a socket and starts their TLS handshakes; of too many, the oldest is closed.

    Args:
        listening: a bound socket.
        context: certificates of the server.
        factory: returns the protocol of a new connection.
        backlog: connections that wait to be accepted.

    Attributes:
        sockets: as those of `asyncio.Server`.
        pending: start of each handshake in progress, in seconds of `monotonic`; oldest first.
    """

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, factory: Callable[[], asyncio.Protocol], backlog: int
    ) -> None:
        self.sockets, self.context, self.factory = (listening,), context, factory
        self.pending: dict[asyncio.Task[None], float] = {}
        listening.setblocking(False)
        listening.listen(backlog)
        self.accepting = asyncio.get_running_loop().create_task(self._accept(listening))

    def close(self) -> None:
        """Stop accepting connections."""
        self.accepting.cancel()
        self.sockets[0].close()

    async def wait_closed(self) -> None:
        """Return when no connections are accepted any longer."""
        with suppress(asyncio.CancelledError):
            await self.accepting

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._make_room()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                if listening.fileno() < 0:
                    return
                log_event("no connection accepted", logging.WARNING, reason=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            task = loop.create_task(self._shake_hands(connection))
            self.pending[task] = monotonic()
            task.add_done_callback(self._forget)
            for _ in range(STEPS):
                await asyncio.sleep(0)

    async def _make_room(self) -> None:
        """Return when another handshake may start; meanwhile clients wait in the backlog."""
        while len(self.pending) >= HANDSHAKES:
            oldest, started = next(iter(self.pending.items()))
            if (left := started + LEAST_SECONDS - monotonic()) <= 0:
                oldest.cancel()
            await asyncio.wait([oldest], timeout=max(left, LEAST_SECONDS / 10))

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop: Any = asyncio.get_running_loop()
        with suppress(OSError):  # the client leaves, speaks no TLS, or takes too long
            await loop.connect_accepted_socket(
                self.factory, connection, ssl=self.context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self.pending[task]


def limit_accepting(loop: asyncio.AbstractEventLoop) -> None:
    """Make servers on a socket accept one connection at a time, and limit handshakes where they have a TLS context."""
    create_server: Any = loop.create_server

    async def create(
        factory: Any, *args: Any, sock: Any = None, ssl: Any = None, backlog: int = 100, **options: Any
    ) -> Any:
        """Create a server."""
        if sock is None:
            return await create_server(factory, *args, ssl=ssl, backlog=backlog, **options)
        if ssl is not None:
            return HandshakeServer(sock, ssl, factory, backlog)
        server = await create_server(factory, sock=sock, backlog=1, **options)  # accepts as many without a pause
        sock.listen(backlog)
        return server

    loop.create_server = create  # type: ignore[method-assign, assignment]
