"""POST /recommend: from the bytes of a request with users to those of the response with their items."""

import logging
import math
from functools import partial

from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.serving.runtime.endpoint_resources import EndpointResources
from mlnb.serving.runtime.http_messages import (
    ROUTE,
    Headers,
    Receive,
    Reply,
    RequestOptions,
    Scope,
    refuse,
    reply_to,
)
from mlnb.serving.runtime.model_reloader import ModelReloader
from mlnb.serving.runtime.recommendation_handler import read_users
from mlnb.serving.runtime.request_bodies import BadRequest, Body
from mlnb.serving.runtime.response_bodies import encode_recommendations
from mlnb.serving.runtime.structured_logs import log_event


class RecommendationEndpoint:
    """Recommends items with the current model.

    Args:
        reloader: has the model.
        resources: of the service.
    """

    def __init__(self, reloader: ModelReloader, resources: EndpointResources) -> None:
        self.reloader = reloader
        self.resources = resources

    @property
    def metadata(self) -> RecommenderMetadata | None:
        """What the current model recommends from; None where it is of no interaction log."""
        handler = self.reloader.current.predictor.recommendations
        return handler.recommender.metadata if handler is not None else None

    def respond(self, body: Body, deadline: float = math.inf) -> Reply:
        """Return the reply to a body with users: the items for each; `deadline` is not needed for so few."""
        model = self.reloader.current
        try:
            handler = model.predictor.recommendations
            if handler is None:
                return refuse(404, "a model of no interaction log", f"POST {ROUTE}", model.version)
            recommended = handler.respond(read_users(body))
            return Reply(200, encode_recommendations(recommended), model.version)
        except BadRequest as error:
            return reply_to(error, model.version)
        except Exception as error:  # noqa: BLE001 -- a fault of the service: the log has the cause
            log_event("request failed", logging.ERROR, error, hidden=True, model_version=model.version)
            return refuse(500, "a fault of the service; its log has the cause", "recommendations", model.version)

    async def handle(self, scope: Scope, headers: Headers, receive: Receive, request_id: str) -> Reply:
        """Return the reply to a request; it is made in a thread, so that no prediction waits for it."""
        version = self.reloader.current.version
        if refused := await self.resources.refuse_early(scope, headers, receive, version):
            return refused

        async def respond(body: Body, options: RequestOptions) -> Reply:
            return await self.resources.respond_in_thread(partial(self.respond, body), version)

        return await self.resources.handle_body(scope, headers, receive, request_id, version, respond, only="JSON")
