"""POST /predict as an ASGI application: one function call from a request's bytes to those of its response.

Small requests are handled in the event loop; large ones in a thread, so that no other request waits for them.
"""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

from mlnb.methods.contracts.responses import Explanation, Response
from mlnb.serving.runtime.access import AccessControl
from mlnb.serving.runtime.http_messages import (
    JSON,
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
)
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.model_reloader import LoadedModel, ModelReloader
from mlnb.serving.runtime.prediction_log import PredictionLog
from mlnb.serving.runtime.prometheus_metrics import service_metrics
from mlnb.serving.runtime.request_bodies import BadRequest, read_rows
from mlnb.serving.runtime.response_bodies import encode_responses, to_values
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.serving.runtime.table_bodies import read_table, to_rows, write_table
from mlnb.serving.runtime.traffic_routing import TrafficRouter
from mlnb.settings import ServiceSettings

THREADS = 4  # batches handled at a time
WAITING = 64  # batches that may wait for a thread
INLINE = 16_384  # bytes of a JSON body that is handled in the event loop
SECONDS = 60.0  # time limit of a batch
LONGEST_ID = 128  # characters of a request id that is passed through
DEFAULTS = RequestOptions()
LOGGED = 2000  # bytes of a refusal in the service's log


class Endpoint:
    """Responds with the current model, counts requests and rows, and explains refusals.

    Args:
        folder: a bundle's folder `model`.
        settings: of the service; None: those of the environment.
    """

    def __init__(self, folder: Path, settings: ServiceSettings | None = None) -> None:
        settings = settings or ServiceSettings()
        self.access, self.metrics = AccessControl.from_settings(settings), service_metrics()
        follow = Path(settings.follow) if settings.follow else None
        self.reloader = ModelReloader(folder, follow, self.metrics.switch_version, self.metrics.count_refused_model)
        self.masked = frozenset(settings.log_mask)  # in the service's log, too
        self.log = PredictionLog.from_settings(settings, self.metrics.count_logged)
        log_shadow = self._log_shadow if self.log else None
        self.router = TrafficRouter.from_settings(settings, folder, self.metrics, log_shadow)
        self.pool = ThreadPoolExecutor(THREADS, "batch")
        self.pending = 0
        self.prefix, self.number = secrets.token_hex(6), itertools.count()
        self.reloader.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request for predictions."""
        start = perf_counter()
        headers = dict(scope["headers"])
        request_id = self._request_id(headers)
        reply = await self._handle(scope, headers, receive, request_id.decode())
        out = [
            (b"content-type", reply.kind.encode()),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-model-version", reply.version.encode()),
            (b"x-request-id", request_id),
        ]
        if reply.status == 401:
            out.append((b"www-authenticate", b"Bearer"))
        elif reply.status == 405:
            out.append((b"allow", b"POST"))
        elif reply.status == 503:
            out.append((b"retry-after", b"1"))
        await send({"type": "http.response.start", "status": reply.status, "headers": out})
        await send({"type": "http.response.body", "body": reply.body})
        seconds = perf_counter() - start
        self.metrics.observe_seconds(seconds)
        self.metrics.count("requests", str(reply.status), reply.version)
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

    def respond(self, body: bytes, options: RequestOptions = DEFAULTS) -> Reply:
        """Return the reply to a body: predictions, or what has to change."""
        current, canary = self.reloader.current, self.router.canary
        chosen = canary.choose(options.key, current) if canary is not None else None
        if chosen is not None:
            reply = self._respond(chosen, body, options)
            if reply.status < 500:
                return reply  # else the current model responds: a client never gets a canary's failure
        return self._respond(current, body, options)

    def _respond(self, model: LoadedModel, body: bytes, options: RequestOptions) -> Reply:
        start = perf_counter()
        reply = self._reply(model, body, options)
        if self.router.canary is not None:
            canary = model.version != self.reloader.current.version
            self.router.canary.record(model.version, perf_counter() - start, reply.status >= 500, canary)
        return reply

    def _log_shadow(
        self, request: str, version: str, rows: list[Row], responses: Sequence[Response], seconds: float
    ) -> None:
        if self.log is not None:
            self.log.record(request, version, rows, to_values(responses), seconds, shadow=True)

    def _reply(self, model: LoadedModel, body: bytes, options: RequestOptions) -> Reply:
        start, shadow = perf_counter(), self.router.shadow
        try:
            logged = self.log is not None or shadow is not None
            rows, responses, explanations = _predict(model, body, options, logged)
            self.metrics.count_predictions(responses, model.version)
            kind = JSON if JSON in options.accept or options.kind == JSON else options.kind
            if kind == JSON:
                out = encode_responses(responses, explanations)
            else:
                out = write_table(to_values(responses, explanations), kind)
            if self.log is not None:
                self.log.record(
                    options.request_id,
                    model.version,
                    body if options.kind == JSON else rows,
                    out if kind == JSON else to_values(responses, explanations),
                    perf_counter() - start,
                    options.event_time,
                    count=len(responses),
                )
            if shadow is not None:
                shadow.submit(options.request_id, rows, responses, model.version)
            return Reply(200, out, model.version, kind)
        except BadRequest as error:
            self.metrics.count_rejected(error.problems, frozenset(model.predictor.parts.schema.names), model.version)
            if self.log is not None:
                self.log.record_refusal(options.request_id, model.version, error.problems, options.event_time)
            log_text = error.refusal(self.masked).encode() if self.masked else b""
            return Reply(error.status, error.refusal().encode(), model.version, log_text=log_text)
        except Exception as error:  # noqa: BLE001 -- a fault of the service: the log has the cause, the client need not
            log_event("request failed", logging.ERROR, error, model_version=model.version)
            return refuse(500, "a fault of the service; its log has the cause", "a prediction", model.version)

    def ready(self) -> bool:
        """Return whether the golden rows get the notebook's predictions."""
        return self.reloader.current.predictor.replay() is None

    def close(self) -> None:
        """End the threads once their requests are done."""
        self.reloader.stop()
        self.pool.shutdown()
        self.router.close()
        if self.log is not None:
            self.log.close()

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, request_id: str) -> Reply:
        version = self.reloader.current.version
        if not self.access.allows(headers):
            await discard_body(receive)
            expected = "`Authorization: Bearer ...` or `X-API-Key: ...` with a key of this service"
            return refuse(401, "no key or another", expected, version)
        if scope["method"] != "POST":
            return refuse(405, f"method {scope['method']}", "POST", version)
        try:
            options = read_options(scope, headers, request_id)
            body = await read_body(headers, receive)
        except BadRequest as error:
            return Reply(error.status, error.refusal().encode(), version)
        if options.kind == JSON and len(body) <= INLINE and not options.explain:
            return self.respond(body, options)
        return await self._respond_in_thread(body, options, version)

    async def _respond_in_thread(self, body: bytes, options: RequestOptions, version: str) -> Reply:
        if self.pending >= WAITING + THREADS:
            return refuse(503, f"{self.pending} batches in the queue", "fewer at a time; try again later", version)
        self.pending += 1
        self.metrics.busy.inc()
        try:
            work = asyncio.get_running_loop().run_in_executor(self.pool, self.respond, body, options)
            return await asyncio.wait_for(work, SECONDS)
        except TimeoutError:
            return refuse(504, f"no response after {SECONDS:.0f} s", "fewer rows in one request", version)
        finally:
            self.pending -= 1
            self.metrics.busy.dec()

    def _request_id(self, headers: Headers) -> bytes:
        """Return the id in a request's header, if a header can hold it, or a new one."""
        request_id = headers.get(b"x-request-id", b"")
        if request_id and len(request_id) <= LONGEST_ID and request_id.isascii() and request_id.decode().isprintable():
            return request_id
        return f"{self.prefix}-{next(self.number):x}".encode()


def _predict(
    model: LoadedModel, body: bytes, options: RequestOptions, logged: bool
) -> tuple[list[Row], Sequence[Response], Sequence[Explanation]]:
    """Return the rows of a body, their responses and explanations; rows of a table only where they are needed again."""
    predictor = model.predictor
    if options.kind == JSON:
        rows = read_rows(body)
        responses = predictor.respond(rows)
    else:
        table = read_table(body, options.kind)
        rows, responses = to_rows(table) if logged or options.explain else [], predictor.respond_to_table(table)
    return rows, responses, predictor.explain(rows) if options.explain else ()
