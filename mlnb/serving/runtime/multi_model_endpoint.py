"""Predictions of many models in one service: requests name a model in their path, or its segment in each row.

`POST /models/NAME/predict` (or `recommend`) is handled by the endpoint of that model, as in a service of it alone. The
rows of `POST /predict` are split by the column of the segments, and their responses joined in the order of the rows.
"""

import asyncio
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter

from mlnb.codec import replace
from mlnb.methods.encoding.encoder_interface import UnusableValue
from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.serving.runtime.endpoint import DEFAULTS, URL, Endpoint
from mlnb.serving.runtime.endpoint_resources import SECONDS, EndpointResources
from mlnb.serving.runtime.http_messages import (
    JSON,
    MODELS_ROUTE,
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
    discard_body,
    refuse,
    reply_to,
)
from mlnb.serving.runtime.json_rows import SMALL, read_rows
from mlnb.serving.runtime.memory_budget import Reservation
from mlnb.serving.runtime.model_catalog import CATALOG, ModelCatalog
from mlnb.serving.runtime.model_descriptions import describe_path, unknown_model
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.model_pool import ModelPool, ModelUnavailable
from mlnb.serving.runtime.model_reloader import LoadedModel
from mlnb.serving.runtime.model_slots import ModelSlot
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows, Body
from mlnb.serving.runtime.routed_requests import RequestPart, join_refusals, join_replies, split_request
from mlnb.serving.runtime.sliced_requests import ROW_BYTES, VALUE_BYTES, encode_rows
from mlnb.settings import ServiceSettings

LOADERS = 2  # models that are loaded at a time


class MultiModelEndpoint:
    """Responds with the models of a catalog, which are loaded when they are requested.

    Args:
        folder: with a catalog and the models of a bento; used unless the settings name another catalog.
        settings: of the service; None: those of the environment.
    """

    def __init__(self, folder: Path, settings: ServiceSettings | None = None) -> None:
        settings = settings or ServiceSettings()
        self.resources = EndpointResources(settings)
        path = Path(settings.models) if settings.models else folder / CATALOG
        self.pool = ModelPool(path, settings, self.resources, follow=bool(settings.models))
        self.loaders = ThreadPoolExecutor(LOADERS, "model loader")
        self.loading: dict[str, asyncio.Future[Endpoint]] = {}
        self.routes: dict[bytes, ModelSlot] = {}
        self.segments: tuple[ModelCatalog, dict[str, str]]  # the catalog, and the name of the model of each segment
        self.reads_segment: dict[str, tuple[LoadedModel, bool]] = {}  # whether the column of segments is one of a model
        self.pool.start(self._update_routes)

    @property
    def recommender(self) -> RecommenderMetadata | None:
        """There is no path of recommendations that is not below that of a model."""
        return None

    @staticmethod
    def handles(path: str) -> bool:
        """Return whether requests for a path are predictions."""
        return path == ROUTE or (path.startswith(f"{MODELS_ROUTE}/") and path.endswith((ROUTE, RECOMMEND_ROUTE)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request for predictions."""
        start = perf_counter()
        headers = dict(scope["headers"])
        request_id = self.resources.request_id(headers)
        slot = self.routes.get(_name_of(scope["path"], ROUTE).encode())
        try:
            reply = await self._refuse_early(scope, headers, receive, slot)
            if reply is None and slot is not None:
                loaded = await self._load(slot, receive)
                if isinstance(loaded, Endpoint):
                    await loaded(scope, receive, send)
                    return
                reply = loaded
            if reply is None:
                reply = await self._respond_by_segment(scope, headers, receive, request_id.decode())
        except ClientGone:
            return
        await self.resources.send(reply, request_id, start, send)

    def respond_directly(self, url: bytes, headers: Headers, body: bytes) -> DirectReply | None:
        """Return the response to a small POST to models that are loaded; None: it needs ASGI."""
        if url == URL:
            return self.resources.respond_directly(headers, partial(self._respond_at_once, body))
        slot = self.routes.get(url)
        endpoint = slot.endpoint if slot is not None else None
        if slot is None or endpoint is None:
            return None
        slot.used = monotonic()
        return endpoint.predict_directly(headers, body)

    def respond(self, body: Body, options: RequestOptions = DEFAULTS, deadline: float = math.inf) -> Reply:
        """Return the reply to rows of several segments; models that are not loaded are loaded in this thread."""
        with Reservation(self.resources.budget) as reservation:
            try:
                rows = read_rows(body)
                if len(body) > SMALL:
                    reservation.take(sum(ROW_BYTES + VALUE_BYTES * len(row) for row in rows))
                parts = split_request(rows, *self.segments)
            except BadRequest as error:
                return reply_to(error, "")
            return self._respond_to_parts(parts, body, options, deadline)

    def describe(self, path: str) -> Reply | None:
        """Return what GET returns for the list of models, or for one of them; None: the path is none of theirs."""
        return describe_path(path, self.pool.catalog, self.pool.slots)

    def ready(self) -> bool:
        """Return whether a model gives its golden rows the notebook's predictions; one that fails leaves the others."""
        slots = sorted(self.pool.slots.values(), key=lambda slot: (slot.endpoint is None, -slot.used))
        for slot in slots:
            used = slot.used
            try:
                endpoint = self.pool.load(slot)
            except ModelUnavailable:
                continue
            slot.used = used or slot.used  # a probe is no use of the model
            if endpoint.ready():
                return True
        return not slots

    def close(self) -> None:
        """End the threads once their requests are done."""
        self.loaders.shutdown()
        self.resources.close()
        self.pool.close()

    def _update_routes(self) -> None:
        self.segments = self.pool.catalog, self.pool.catalog.segments()
        self.reads_segment = {}
        self.routes = {f"{MODELS_ROUTE}/{name}{ROUTE}".encode(): slot for name, slot in self.pool.slots.items()}

    async def _refuse_early(
        self, scope: Scope, headers: Headers, receive: Receive, slot: ModelSlot | None
    ) -> Reply | None:
        """Return the refusal of a request that no model has to be loaded for; None: it may go on."""
        if refused := await self.resources.refuse_early(scope, headers, receive, ""):
            return refused
        if slot is None and scope["path"] != ROUTE:
            await discard_body(receive)
            return unknown_model(_name_of(scope["path"]).removeprefix(f"{MODELS_ROUTE}/"), self.pool.slots)
        return None

    async def _load(self, slot: ModelSlot, receive: Receive) -> Endpoint | Reply:
        """Return the endpoint of a model, loaded once for all requests that wait, or the reply when that fails."""
        endpoint = slot.endpoint
        if endpoint is not None:
            slot.used = monotonic()
            return endpoint
        name = slot.model.name
        work = self.loading.get(name)
        if work is None:
            work = self.loading[name] = asyncio.get_running_loop().run_in_executor(self.loaders, self.pool.load, slot)
            work.add_done_callback(lambda _: self.loading.pop(name, None))
        done, _ = await asyncio.wait([work], timeout=SECONDS)
        try:
            if done:
                return work.result()
            reason = f"model {name} which is not loaded after {SECONDS:.0f} s"
        except ModelUnavailable as error:
            reason = str(error)
        await discard_body(receive)
        return refuse(503, reason, "a prediction; try again later", "")

    async def _respond_by_segment(self, scope: Scope, headers: Headers, receive: Receive, request_id: str) -> Reply:
        async def respond(body: Body, options: RequestOptions) -> Reply:
            if (reply := self._respond_at_once(body, options)) is not None:
                return reply
            return await self.resources.respond_in_thread(partial(self.respond, body, options), "")

        only = f"JSON, or {MODELS_ROUTE}/NAME{ROUTE} for tables"
        return await self.resources.handle_body(scope, headers, receive, request_id, "", respond, only)

    def _respond_at_once(self, body: Body, options: RequestOptions) -> Reply | None:
        """Return the reply to a small body of rows with segments; None: it needs a thread."""
        parts = self._quick_parts(body, options)
        return None if parts is None else self._respond_to_parts(parts, body, options, math.inf)

    def _quick_parts(self, body: Body, options: RequestOptions) -> list[RequestPart] | None:
        """Return the parts of a small body that the event loop may wait for: few rows, and all models loaded."""
        if len(body) > SMALL or options.kind != JSON:
            return None
        try:
            parts = split_request(read_rows(body), *self.segments)
        except BadRequest:
            return None
        slots = [self.pool.slots.get(part.model) for part in parts]
        endpoints = [slot.endpoint if slot is not None else None for slot in slots]
        quick = all(endpoint is not None and endpoint.is_small(body, options) for endpoint in endpoints)
        return parts if quick else None

    def _respond_to_parts(
        self, parts: Sequence[RequestPart], body: Body, options: RequestOptions, deadline: float
    ) -> Reply:
        """Return the reply to a request.

        Args:
            parts: of the request.
            body: of the request.
            options: of the request.
            deadline: of `perf_counter`.
        """
        if not parts:
            return Reply(200, b"[]", "")
        small = len(body) <= SMALL  # then the text of the rows is for the log alone
        replies: dict[str, Reply] = {}
        try:
            if len(parts) == 1:
                (part,) = parts
                endpoint, rows = self._rows_of(part)
                unchanged = rows is part.rows or (small and endpoint.log is None)
                content = body if unchanged else encode_rows(rows)
                reply = endpoint.respond(content, options, deadline, rows if small else None)
                single = len(rows) == 1 and endpoint.reloader.current.predictor.handler.independent
                return join_replies(parts, [reply], len(rows), single) if reply.status == 200 else reply
            refused = [part for part in parts if not self._fits(part, options)]
            for part in refused or parts:  # all rows fit before any is predicted and logged
                endpoint, rows = self._rows_of(part)
                own = replace(options, numbers=tuple(part.numbers))
                content = body if small and endpoint.log is None else encode_rows(rows)
                replies[part.model] = endpoint.respond(content, own, deadline, rows if small else None)
                if replies[part.model].status != 200 and not refused:
                    break
        except BadRequest as error:
            return reply_to(error, "")
        except ModelUnavailable as error:
            return refuse(503, str(error), "a prediction; try again later", "")
        failed = {name: reply for name, reply in replies.items() if reply.status != 200}
        if failed:
            return join_refusals(parts, failed)
        return join_replies(parts, [*replies.values()], sum(len(part.rows) for part in parts))

    def _rows_of(self, part: RequestPart) -> tuple[Endpoint, list[Row]]:
        """Return the endpoint of a part, and its rows without the segment where the model does not read it."""
        slot = self.pool.slots.get(part.model)
        if slot is None:
            raise ModelUnavailable(f"model {part.model} has been removed")
        endpoint = self.pool.load(slot)
        current, column = endpoint.reloader.current, self.segments[0].column
        checked = self.reads_segment.get(part.model)
        if checked is None or checked[0] is not current:
            names = current.predictor.handler.request_columns.names
            checked = self.reads_segment[part.model] = (current, column in names)
        return endpoint, part.rows if checked[1] else part.rows_without(column)

    def _fits(self, part: RequestPart, options: RequestOptions) -> bool:
        """Return whether the rows of a part fit the columns of the model, or canary, that is to predict them.

        Raises:
            BadRequest: the rows of a history cannot be joined with those of other models.
        """
        endpoint, rows = self._rows_of(part)
        predictor = endpoint.choose(options).predictor
        if traits_of(predictor.parts.contract.task).unit == "history":
            raise BadRequest("found histories of several segments, expected one segment in a request", [], 400)
        try:
            predictor.handler.read(predictor.protection.rows(rows))
        except (BadRows, UnusableValue):
            return False
        return True


def _name_of(path: str, route: str = "") -> str:
    """Return the path of a model with another route, or without one."""
    return path.removesuffix(ROUTE).removesuffix(RECOMMEND_ROUTE) + route
