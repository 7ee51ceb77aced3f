"""BentoML's side of the request path: a service that handles predictions before its middleware, and OpenAPI."""

import copy
import gc
import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import bentoml
from _bentoml_sdk.io_models import IODescriptor, IORootModel
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlnb.codec import JsonObject
from mlnb.errors import SettingsError, UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.recommendation.recommenders import RecommenderMetadata
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime import supervisor
from mlnb.serving.runtime.access import PROBES, AccessControl, bound_host, check_exposure
from mlnb.serving.runtime.bentoml_imports import import_aiohttp, import_proxy_late
from mlnb.serving.runtime.http_messages import (
    RECOMMEND_ROUTE,
    ROUTE,
    DirectReply,
    Headers,
    Receive,
    Reply,
    Scope,
    Send,
    discard_body,
)
from mlnb.serving.runtime.http_server import install
from mlnb.serving.runtime.model_catalog import CATALOG, read_catalog
from mlnb.serving.runtime.model_parts import read_example, read_json, read_record
from mlnb.serving.runtime.recommendation_schemas import add_recommendations
from mlnb.serving.runtime.request_bodies import MAX_BYTES
from mlnb.serving.runtime.response_schemas import describe_responses, describe_rows, describe_service
from mlnb.serving.runtime.row_protection import RowProtection
from mlnb.serving.runtime.row_scorers import import_lightgbm_alone
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.serving.runtime.service_page import POLICY, make_page
from mlnb.serving.runtime.service_worker import check_alone
from mlnb.serving.runtime.structured_logs import configure_logging
from mlnb.settings import ServiceSettings

OTHERS = frozenset({"/metrics", "/schema.json", *PROBES})  # paths that BentoML responds to
CORS_HEADERS = ["Authorization", "Content-Type", "X-API-Key", "X-Request-Id", "X-Routing-Key"]


class PredictionService(bentoml.Service):  # type: ignore[misc]
    """A service whose predictions skip BentoML's middleware, which takes longer than they do.

    Everything else (probes, metrics, documentation) is BentoML's, with the same access control. The class that is
    served has an attribute `endpoint`.

    Attributes:
        instance: of the class that is served; None until the worker has started.
    """

    instance: Any = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        host = bound_host()
        if host is not None:
            configure_logging()
            try:
                check_exposure(host)
            except UsageError as error:
                raise SystemExit(str(error)) from None  # before there is a supervisor that would restart workers
            if find_spec("lightgbm"):
                import_lightgbm_alone()  # once for all workers
            import_proxy_late()
            import_aiohttp()
            supervisor.install_supervisor()

    def __call__(self) -> Any:
        """Return the instance of the class that is served, and keep it for `RequestRouter`."""
        self.instance = super().__call__()
        if gc.isenabled():
            gc.collect()
        gc.freeze()  # a collection would delay requests by the time that it takes to look at all of this again
        gc.enable()
        return self.instance

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that a worker serves."""
        if find_spec("lightgbm"):
            import_lightgbm_alone()
        check_alone(self)
        install()
        router = RequestRouter(super().to_asgi(is_main), self)
        origins = ServiceSettings().cors_origins
        if not origins:
            return router
        exposed = ["X-Model-Version", "X-Request-Id"]
        return CORSMiddleware(router, origins, ["GET", "POST"], CORS_HEADERS, expose_headers=exposed)

    @property
    def openapi_spec(self) -> Any:
        """BentoML's description, with the errors, other bodies, headers and keys that it does not know."""
        document = describe_service(super().openapi_spec.asdict(), ROUTE)
        recommender = self.recommender
        return OpenApiDocument(
            document if recommender is None else add_recommendations(document, RECOMMEND_ROUTE, recommender)
        )

    @property
    def recommender(self) -> RecommenderMetadata | None:
        """What the model in use recommends from; None where it is of no interaction log, or no worker has started."""
        return self.instance.endpoint.recommender if self.instance is not None else None

    @property
    def routes(self) -> list[str]:
        """The paths of requests, the most useful first: of a log, the other predicts from features of candidates."""
        return [ROUTE] if self.recommender is None else [RECOMMEND_ROUTE, ROUTE]


@dataclass(frozen=True)
class OpenApiDocument:
    """An OpenAPI document with the interface that BentoML expects."""

    document: Any

    def asdict(self) -> Any:
        """Return the document."""
        return self.document


class RequestRouter:
    """Sends predictions to the endpoint, responds with page and description, and sends the other paths to BentoML.

    BentoML's metrics have a label for each path, and its page has scripts of third parties: it gets known paths only.
    """

    def __init__(self, app: Any, service: PredictionService) -> None:
        self.app, self.service, self.access = app, service, AccessControl.from_settings(ServiceSettings())
        self.documents: dict[str, tuple[str, bytes]] = {}  # media type and body by path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        app: Any = self.app
        if scope["type"] == "http":
            path = scope["path"]
            if self.service.instance.endpoint.handles(path):
                app = self.service.instance.endpoint
            elif path not in PROBES:
                app = await self._other(scope, receive) or app
        elif scope["type"] == "websocket":
            return  # uvicorn responds with status 500 to a connection that nothing accepts
        await app(scope, receive, send)

    def respond_directly(self, url: bytes, headers: Headers, body: bytes) -> DirectReply | None:
        """Return the response to a small request for predictions; None: it needs ASGI."""
        return self.service.instance.endpoint.respond_directly(url, headers, body)  # type: ignore[no-any-return]

    async def _other(self, scope: Scope, receive: Receive) -> Response | None:
        """Return the response to a request for another path; None: BentoML responds."""
        path, method = scope["path"], scope["method"]
        refused = described = None
        if not self.access.allows(dict(scope["headers"])):
            error = {"error": "a key of this service is needed"}
            refused = JSONResponse(error, 401, {"WWW-Authenticate": "Bearer"})
        elif path not in OTHERS and path not in ("/", "/docs.json"):
            described = self.service.instance.endpoint.describe(path)
            if described is None:
                routes = " or ".join(f"POST {route}" for route in self.service.routes)
                refused = JSONResponse({"error": f"expected {routes}, or GET / for the documentation"}, 404)
        if refused is None and method not in ("GET", "HEAD"):
            refused = JSONResponse({"error": "expected GET"}, 405, {"Allow": "GET, HEAD"})
        if refused is not None:
            await discard_body(receive)
            return refused
        if described is not None:
            return Response(described.body, described.status, media_type=described.kind)
        if path in OTHERS:
            return None
        kind, body = self._document(path)
        policy = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"} if path == "/" else {}
        return Response(body, 200, policy, kind)

    def _document(self, path: str) -> tuple[str, bytes]:
        if not self.documents:
            document = self.service.openapi_spec.asdict()
            encoded = json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode()
            self.documents = {
                "/docs.json": ("application/json", encoded),
                "/": ("text/html; charset=utf-8", make_page(document, self.service.routes).encode()),
            }
        return self.documents[path]


class RequestBody(IORootModel[Any]):  # type: ignore[misc]
    """The raw bytes of a request: the endpoint reads them and reports problems by row and column."""

    __root_input__: ClassVar[bool] = True
    described: ClassVar[JsonObject] = {}

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> IODescriptor:
        """Return the body; of one that is too long, just enough to see that."""
        body = bytearray()
        async for part in request.stream():
            body += part[: MAX_BYTES + 1 - len(body)]
        return cls(bytes(body))

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the JSON Schema of the model's columns."""
        return {**copy.deepcopy(cls.described), "root_input": True}


class ResponseBody(IORootModel[Any]):  # type: ignore[misc]
    """The body of a response."""

    described: ClassVar[JsonObject] = {}

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the JSON Schema of the model's responses."""
        return copy.deepcopy(cls.described)


def describe_model(folder: Path) -> tuple[type[RequestBody], type[ResponseBody]]:
    """Return the types of request and response for the model in `folder`, with its columns, classes and an example.

    They are classes with a class attribute, because BentoML takes a schema from a type only. A service whose key for
    pseudonyms is not that of training does not start.
    """
    contract = read_record(ProblemContract, folder / "contract.json")
    example, schema = read_example(folder), Schema.from_json(read_json(folder / "schema.json"))
    if bound_host() is not None:
        configure_logging()
        try:
            RowProtection(schema).check_key()
        except SettingsError as error:
            raise SystemExit(str(error)) from None  # before there is a supervisor that would restart workers
    served = find_served_task(contract)
    rows = describe_rows(served.columns(schema, contract), example.rows)
    responses = describe_responses(contract, example.predictions)
    return type("Rows", (RequestBody,), {"described": rows}), type(
        "Predictions", (ResponseBody,), {"described": responses}
    )


def describe_models(folder: Path) -> tuple[type[RequestBody], type[ResponseBody]]:
    """Return the types of request and response of a service of several models; `GET /models/NAME` has those of one."""
    path = ServiceSettings().models or folder / CATALOG
    column = read_catalog(Path(path)).column
    segment: JsonObject = {"type": "string", "description": "names the model of the row"}
    row: JsonObject = {"type": "object", "properties": {column: segment} if column else {}}
    row = {**row, "required": [column]} if column else row
    rows: JsonObject = {"type": "array", "title": "Rows", "items": row, "example": []}
    model: JsonObject = {"type": "string", "description": "name and version of the model"}
    prediction: JsonObject = {"type": "object", "title": "Prediction", "properties": {"model": model}}
    responses: JsonObject = {"type": "array", "title": "Predictions", "items": prediction}
    return type("Rows", (RequestBody,), {"described": rows}), type(
        "Predictions", (ResponseBody,), {"described": responses}
    )


def to_response(reply: Reply) -> Response:
    """Return a reply as a method of a BentoML service returns it."""
    return Response(reply.body, reply.status, {"X-Model-Version": reply.version}, reply.kind)
