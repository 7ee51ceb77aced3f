"""The HTTP server of a worker: it limits connections, and its end loses no request.

BentoML starts uvicorn without these limits and has no options for most of them: `install` replaces uvicorn's server by
one that has them.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from functools import partial
from time import monotonic

import uvicorn

from mlnb.serving.runtime.accepted_connections import HANDSHAKES, limit_accepting
from mlnb.serving.runtime.direct_requests import DirectConnection
from mlnb.serving.runtime.http_connections import CONNECTIONS, IDLE_SECONDS, REFUSED, LimitedConnection
from mlnb.serving.runtime.structured_logs import log_event

SHUTDOWN_SECONDS = 25  # until requests must be complete at the end
OTHER_FILES = 100  # files of a worker that are no connections
CHECK = 10  # ticks of uvicorn, of 0.1 s, between two checks of all connections


class LimitedServer(uvicorn.Server):
    """A server that checks its connections and stops listening before it closes them."""

    def __init__(self, config: uvicorn.Config) -> None:
        # An application with middleware around it, such as CORS, gets all requests over ASGI.
        direct = getattr(config.app, "respond_directly", None)
        config.http = partial(DirectConnection, direct=direct)  # type: ignore[assignment]
        config.timeout_keep_alive = IDLE_SECONDS
        config.timeout_graceful_shutdown = config.timeout_graceful_shutdown or SHUTDOWN_SECONDS
        LimitedConnection.limit = allow_connections()
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; uvicorn has no options for how connections are accepted."""
        limit_accepting(asyncio.get_running_loop())
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Check all connections every second."""
        if counter % CHECK == 0:
            now = monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, LimitedConnection):
                    connection.check(now)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening in all processes that share the sockets, then respond to what was sent."""
        for listening in sockets or []:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)  # a connection that is tried from now on is refused, not reset
        await super().shutdown(sockets)


def allow_connections() -> int:
    """Return how many connections may be served at a time, once this process may open as many files as possible."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return CONNECTIONS
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = files - OTHER_FILES - REFUSED - HANDSHAKES
    allowed = CONNECTIONS if files == resource.RLIM_INFINITY else min(CONNECTIONS, spare)
    if allowed < CONNECTIONS:
        log_event("few files may be open", logging.WARNING, limit=files, connections=max(1, allowed))
    return max(1, allowed)


def install() -> None:
    """Make BentoML's workers use these connections."""
    uvicorn.Server = LimitedServer  # type: ignore[misc]
