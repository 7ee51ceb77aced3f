"""POST /predict and POST /recommend as an ASGI application: one function call from a request to its response.

Small requests are handled in the event loop; large ones in a thread, so that no other request waits for them.
"""

import logging
import math
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter

from mlnb.errors import EmbeddingError
from mlnb.methods.contracts.responses import Response
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.serving.runtime.endpoint_resources import EndpointResources
from mlnb.serving.runtime.http_messages import (
    JSON,
    RECOMMEND_ROUTE,
    ROUTE,
    ClientGone,
    DirectReply,
    Headers,
    Receive,
    Reply,
    RequestOptions,
    Scope,
    Send,
    refuse,
    reply_to,
)
from mlnb.serving.runtime.json_rows import SMALL, read_rows
from mlnb.serving.runtime.memory_budget import Reservation
from mlnb.serving.runtime.model_catalog import CANARY, SHADOW
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.model_reloader import LoadedModel, ModelReloader
from mlnb.serving.runtime.prediction_log import PredictionLog
from mlnb.serving.runtime.prometheus_metrics import count_classes
from mlnb.serving.runtime.recommendation_endpoint import RecommendationEndpoint
from mlnb.serving.runtime.request_bodies import BadRequest, Body, refuse_value, too_large
from mlnb.serving.runtime.response_bodies import encode_responses, to_values
from mlnb.serving.runtime.sliced_requests import Outcome, SlicedRequest, encode_rows
from mlnb.serving.runtime.structured_logs import log_event
from mlnb.serving.runtime.table_decoder import MAX_TABLE_ROWS
from mlnb.serving.runtime.traffic_routing import Canary, TrafficRouter
from mlnb.settings import ServiceSettings

INLINE_ROWS = 64  # rows of a JSON body that is handled in the event loop
INLINE_BYTES = 2_048  # bytes of a body that holds at most as many rows
READY_SECONDS = 10.0  # between two predictions for the golden rows
DEFAULTS = RequestOptions()
URL = ROUTE.encode()


class Endpoint:
    """Responds with the current model, counts requests and rows, and explains refusals.

    Args:
        folder: a bundle's folder `model`.
        settings: of the service; None: those of the environment.
        shared: resources and prediction log of a service of several models, which states canary and shadow; None: the
            endpoint is the whole service, which follows pointers and routes traffic as the settings state.
    """

    def __init__(
        self,
        folder: Path,
        settings: ServiceSettings | None = None,
        shared: tuple[EndpointResources, PredictionLog | None] | None = None,
    ) -> None:
        settings = settings or ServiceSettings()
        self.resources = shared[0] if shared else EndpointResources(settings)
        self.metrics = self.resources.metrics
        follow = Path(settings.follow) if settings.follow and not shared else None
        own, metrics = LoadedModel.load(folder), self.metrics
        self.reloader = ModelReloader(own, follow, metrics.switch_version, metrics.count_refused_model)
        self.recommendations = RecommendationEndpoint(self.reloader, self.resources)
        self.log = shared[1] if shared else PredictionLog.from_settings(settings, self.metrics.count_logged)
        log_shadow = partial(_log_shadow, self.log) if self.log else None
        self.router = TrafficRouter(settings.canary_share, self.metrics, log_shadow)
        if not shared:
            for role, pointer in ((CANARY, settings.canary), (SHADOW, settings.shadow)):
                if pointer:
                    self.router.point(role, own, Path(pointer), watch=True)
        # What is logged must fit in the log's queue.
        self.table_rows = min(MAX_TABLE_ROWS, settings.log_limit) if self.log else MAX_TABLE_ROWS
        self.checked: tuple[LoadedModel, float, bool] | None = None  # model, time and result of the last replay
        self.checking = threading.Lock()
        self.reloader.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request for predictions."""
        start = perf_counter()
        headers = dict(scope["headers"])
        request_id = self.resources.request_id(headers)
        try:
            handle = self.recommendations.handle if scope["path"].endswith(RECOMMEND_ROUTE) else self._handle
            reply = await handle(scope, headers, receive, request_id.decode())
        except ClientGone:
            return
        await self.resources.send(reply, request_id, start, send)

    @property
    def recommender(self) -> RecommenderMetadata | None:
        """What the current model recommends from; None where it is of no interaction log."""
        return self.recommendations.metadata

    @staticmethod
    def handles(path: str) -> bool:
        """Return whether requests for a path are the endpoint's."""
        return path in (ROUTE, RECOMMEND_ROUTE)

    @staticmethod
    def describe(path: str) -> Reply | None:
        """Return what GET returns for a path that is the endpoint's alone: there is none."""
        return None

    def respond_directly(self, url: bytes, headers: Headers, body: bytes) -> DirectReply | None:
        """Return status, headers and body of the response to a small POST without a query; None: it needs ASGI.

        The response is the one that the same request gets over ASGI.
        """
        return self.predict_directly(headers, body) if url == URL else None

    def predict_directly(self, headers: Headers, body: bytes) -> DirectReply | None:
        """Return the response to a small POST as `respond_directly`, whatever the URL was."""
        return self.resources.respond_directly(
            headers, lambda options: self.respond(body, options) if self.is_small(body, options) else None
        )

    def respond(
        self,
        body: Body,
        options: RequestOptions = DEFAULTS,
        deadline: float = math.inf,
        rows: list[Row] | None = None,
    ) -> Reply:
        """Return the reply to a body: predictions, or what has to change.

        Args:
            body: of a request.
            options: of the request.
            deadline: of `perf_counter`.
            rows: of a small body, where they have been read; None: they are read.
        """
        current, canary = self.reloader.current, self.router.canary
        if canary is not None and (chosen := canary.choose(options.key, current)) is not None:
            reply = self._respond(chosen, body, options, deadline, rows, canary, is_canary=True)
            if reply.status < 500:
                return reply  # else the current model responds: a client never gets a canary's failure
        return self._respond(current, body, options, deadline, rows, canary)

    def choose(self, options: RequestOptions) -> LoadedModel:
        """Return the model that responds to a request first: the canary for its share of the keys."""
        current, canary = self.reloader.current, self.router.canary
        return (canary.choose(options.key, current) if canary is not None else None) or current

    def _respond(
        self,
        model: LoadedModel,
        body: Body,
        options: RequestOptions,
        deadline: float,
        rows: list[Row] | None,
        canary: Canary | None,
        is_canary: bool = False,
    ) -> Reply:
        start = perf_counter()
        reply = self._reply(model, body, options, deadline, rows)
        if canary is not None:
            canary.record(model.version, perf_counter() - start, reply.status >= 500, is_canary)
        return reply

    def _reply(
        self, model: LoadedModel, body: Body, options: RequestOptions, deadline: float, rows: list[Row] | None
    ) -> Reply:
        start, shadow = perf_counter(), self.router.shadow
        try:
            if options.kind == JSON and len(body) <= SMALL:
                outcome = _predict(model, read_rows(body) if rows is None else rows, options)
            else:
                with Reservation(self.resources.budget) as reservation:
                    request = SlicedRequest(
                        model.predictor,
                        options,
                        reservation,
                        deadline,
                        logged=self.log is not None,
                        shadowed=shadow is not None,
                        table_rows=self.table_rows,
                    )
                    outcome = request.respond(body, self.resources.decoder)
            self.metrics.count_predictions(outcome.counts, model.version)
            if self.log is not None:
                self.log.record(
                    options.request_id,
                    model.version,
                    outcome.logged_rows or body,
                    outcome.logged_responses or outcome.body,
                    perf_counter() - start,
                    options.event_time,
                    count=outcome.count,
                    numbers=options.numbers,
                )
            if shadow is not None:
                shadow.submit(options, outcome.rows, outcome.responses, model.version)
            return Reply(200, outcome.body, model.version, outcome.kind)
        except (BadRequest, UnusableValue) as raised:
            error = raised if isinstance(raised, BadRequest) else refuse_value(raised)
            self.metrics.count_rejected(error.problems, frozenset(model.predictor.parts.schema.names), model.version)
            if self.log is not None:
                self.log.record_refusal(options.request_id, model.version, error.problems, options.event_time)
            return reply_to(error, model.version)
        except MemoryError:
            refused = too_large("a request for which there is no memory", "fewer rows in one request")
            return reply_to(refused, model.version)
        except EmbeddingError as error:
            log_event("texts cannot be embedded", logging.ERROR, error, model_version=model.version)
            return refuse(503, "no embedding of a text; the log has the cause", "a prediction", model.version)
        except Exception as error:  # noqa: BLE001 -- a fault of the service: the log has the cause, the client need not
            log_event("request failed", logging.ERROR, error, hidden=True, model_version=model.version)
            return refuse(500, "a fault of the service; its log has the cause", "a prediction", model.version)

    def ready(self) -> bool:
        """Return whether the golden rows get the notebook's predictions; tried at most every READY_SECONDS."""
        with self.checking:
            model = self.reloader.current
            if self.checked is None or self.checked[0] is not model or monotonic() > self.checked[1] + READY_SECONDS:
                self.checked = (model, monotonic(), model.predictor.replay() is None)
            return self.checked[2]

    def close(self) -> None:
        """End the threads once their requests are done."""
        self.reloader.stop()
        self.resources.close()
        self.router.close()
        if self.log is not None:
            self.log.close()

    async def _handle(self, scope: Scope, headers: Headers, receive: Receive, request_id: str) -> Reply:
        version = self.reloader.current.version
        if refused := await self.resources.refuse_early(scope, headers, receive, version):
            return refused

        async def respond(body: Body, options: RequestOptions) -> Reply:
            if self.is_small(body, options):
                return self.respond(body, options)
            return await self.resources.respond_in_thread(partial(self.respond, body, options), version)

        return await self.resources.handle_body(scope, headers, receive, request_id, version, respond)

    def is_small(self, body: Body, options: RequestOptions) -> bool:
        """Return whether a JSON body holds so few rows that the event loop may wait for their predictions."""
        if options.kind != JSON or options.explain or len(body) > SMALL:
            return False
        if self.choose(options).predictor.handler.waits:
            return False
        if len(body) > INLINE_BYTES and body.count(b"{") > INLINE_ROWS:
            return False
        return self.log is None or not self.log.may_wait(INLINE_ROWS)


def _log_shadow(
    log: PredictionLog,
    request: RequestOptions,
    version: str,
    rows: list[Row],
    responses: Sequence[Response],
    seconds: float,
) -> None:
    """Record the responses of a shadow with the event time and the row numbers of those of the model in use."""
    log.record(
        request.request_id,
        version,
        rows,
        to_values(responses),
        seconds,
        request.event_time,
        shadow=True,
        numbers=request.numbers,
    )


def _predict(model: LoadedModel, sent: list[Row], options: RequestOptions) -> Outcome:
    """Return the responses to the rows of a small JSON body."""
    predictor = model.predictor
    rows = predictor.protection.rows(sent)
    responses = predictor.handler.respond(rows)
    explanations = predictor.handler.explain(rows) if options.explain else ()
    counts: dict[str, int] = {}
    count_classes(responses, counts)
    encoded = encode_responses(responses, explanations)
    logged = encode_rows(rows) if predictor.protection else b""  # the body holds what must not be logged
    return Outcome(encoded, JSON, counts, len(responses), rows, responses, logged)
