"""What the endpoints of one process share: threads, memory, the table decoder, access control and metrics."""

import asyncio
import itertools
import logging
import secrets
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from mlnb.serving.runtime.access import AccessControl
from mlnb.serving.runtime.http_messages import (
    JSON,
    DirectReply,
    Headers,
    Receive,
    Reply,
    RequestOptions,
    Scope,
    Send,
    discard_body,
    read_body,
    read_options,
    refuse,
    reply_to,
    response_head,
)
from mlnb.serving.runtime.memory_budget import MemoryBudget, Reservation
from mlnb.serving.runtime.prometheus_metrics import service_metrics
from mlnb.serving.runtime.request_bodies import BadRequest, Body
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.serving.runtime.table_decoder import TableDecoder
from mlnb.settings import ServiceSettings

THREADS = 4  # batches handled at a time
WAITING = 64  # batches that may wait for a thread
SECONDS = 60.0  # time limit of a batch
SWITCH_SECONDS = 0.001  # after which a thread lets another run: batches must not delay the event loop
LONGEST_ID = 128  # characters of a request id that is passed through
LOGGED = 2000  # bytes of a refusal in the service's log


class EndpointResources:
    """Threads, memory, access control and metrics of the requests of one process.

    Args:
        settings: of the service.

    Attributes:
        pending: batches that wait for a thread or have one.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self.access, self.metrics = AccessControl.from_settings(settings), service_metrics()
        self.pool = ThreadPoolExecutor(THREADS, "batch")
        self.pending = 0
        memory = int(settings.memory * 2**20)
        self.budget, self.decoder = MemoryBudget(memory), TableDecoder(memory)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._prefix, self._number = secrets.token_hex(6), itertools.count()

    async def respond_in_thread(self, work: Callable[[float], Reply], version: str) -> Reply:
        """Return the reply that a function makes in a thread; a refusal when too many wait, or it takes too long.

        Args:
            work: called with the deadline, of `perf_counter`.
            version: of the model, for a refusal.
        """
        if self.pending >= WAITING + THREADS:
            return refuse(503, f"{self.pending} batches in the queue", "fewer at a time; try again later", version)
        self.pending += 1
        self.metrics.busy.inc()
        try:
            deadline = perf_counter() + SECONDS  # the thread ends soon after it, too
            return await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(self.pool, work, deadline), SECONDS
            )
        except TimeoutError:
            return refuse(504, f"no response after {SECONDS:.0f} s", "fewer rows in one request", version)
        finally:
            self.pending -= 1
            self.metrics.busy.dec()

    async def refuse_early(self, scope: Scope, headers: Headers, receive: Receive, version: str) -> Reply | None:
        """Return the refusal of a request without a key of the service, or that is no POST; None: it may go on."""
        if not self.access.allows(headers):
            await discard_body(receive)
            expected = "`Authorization: Bearer ...` or `X-API-Key: ...` with a key of this service"
            return refuse(401, "no key or another", expected, version)
        if scope["method"] != "POST":
            return refuse(405, f"method {scope['method']}", "POST", version)
        return None

    async def handle_body(
        self,
        scope: Scope,
        headers: Headers,
        receive: Receive,
        request_id: str,
        version: str,
        respond: Callable[[Body, RequestOptions], Awaitable[Reply]],
        only: str = "",
    ) -> Reply:
        """Return the reply to the body of a request, or the refusal of one that cannot be read.

        Args:
            scope: of the request.
            headers: of the request.
            receive: of the request.
            request_id: of the request.
            version: of the model, for a refusal.
            respond: returns the reply to the body, whose memory is reserved until then.
            only: what is expected where the body must be JSON; empty: other bodies are read, too.
        """
        reservation = Reservation(self.budget)
        try:
            options = read_options(scope.get("query_string", b""), headers, request_id)
            if only and options.kind != JSON:
                await discard_body(receive)
                return refuse(415, f"a body of type {options.kind!r}", only, version)
            return await respond(await read_body(headers, receive, reservation), options)
        except BadRequest as error:
            return reply_to(error, version)
        finally:
            reservation.close()

    def respond_directly(
        self, headers: Headers, respond: Callable[[RequestOptions], Reply | None]
    ) -> DirectReply | None:
        """Return status, headers and body of the response to a small POST without a query; None: it needs ASGI.

        Args:
            headers: of the request.
            respond: returns the reply, or None when the request needs ASGI.
        """
        start = perf_counter()
        if not self.access.allows(headers):
            return None
        request_id = self.request_id(headers)
        try:
            reply = respond(read_options(b"", headers, request_id.decode()))
        except BadRequest:
            return None
        if reply is None:
            return None
        self.count_request(reply, request_id, perf_counter() - start)
        return reply.status, response_head(reply, request_id), reply.body

    async def send(self, reply: Reply, request_id: bytes, start: float, send: Send) -> None:
        """Send a reply over ASGI, and count its request, which began at `start` of `perf_counter`."""
        await send({"type": "http.response.start", "status": reply.status, "headers": response_head(reply, request_id)})
        await send({"type": "http.response.body", "body": reply.body})
        self.count_request(reply, request_id, perf_counter() - start)

    def request_id(self, headers: Headers) -> bytes:
        """Return the id in a request's header, if a header can hold it, or a new one."""
        request_id = headers.get(b"x-request-id", b"")
        if request_id and len(request_id) <= LONGEST_ID and request_id.isascii() and request_id.decode().isprintable():
            return request_id
        return f"{self._prefix}-{next(self._number):x}".encode()

    def count_request(self, reply: Reply, request_id: bytes, seconds: float) -> None:
        """Count a request and its duration; a refusal is logged."""
        self.metrics.observe_seconds(seconds)
        for version in reply.version.split(", "):  # rows of several segments have several models
            self.metrics.count("requests", str(reply.status), version)
        if reply.status >= 400:
            log_event(
                "request refused",
                logging.WARNING,
                status=reply.status,
                request_id=request_id.decode(),
                milliseconds=round(1000 * seconds, 3),
                model_version=reply.version,
                response=(reply.log_text or reply.body)[:LOGGED].decode("utf-8", "replace"),
            )

    def close(self) -> None:
        """End the threads once their requests are done."""
        self.pool.shutdown()
        self.decoder.close()
