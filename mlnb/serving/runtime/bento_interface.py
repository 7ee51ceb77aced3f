"""BentoML's side of the request path: the service that takes requests at the door, and what OpenAPI says of it."""

import copy
import functools
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import bentoml
from _bentoml_sdk.io_models import IODescriptor, IORootModel
from bentoml._internal.utils import circus
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.access import PROBES, Guard, bound_host, check_exposure
from mlnb.serving.runtime.endpoint import Receive, Reply, Scope, Send
from mlnb.serving.runtime.request_bodies import MAX_BYTES
from mlnb.serving.runtime.response_schemas import describe_answers, describe_rows, describe_service
from mlnb.serving.runtime.row_scorers import import_alone
from mlnb.serving.runtime.service_parts import read_json, read_record
from mlnb.serving.runtime.structured_logs import structure
from mlnb.serving.runtime.task_services import find_kind

ROUTE = "/predict"
LOOK = 1.0  # seconds between a supervisor's looks at its workers; BentoML's own 10 are too long to be away


class Front(bentoml.Service):  # type: ignore[misc]
    """A service whose predictions are answered before BentoML's middleware, which takes longer than they do.

    Everything else (probes, metrics, documentation) goes BentoML's way, behind the same guard. The class served has
    an `endpoint`.

    Attributes:
        instance: of the class served, once the worker has started.
    """

    instance: Any = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        host = bound_host()
        if host is not None:
            structure()
            try:
                check_exposure(host)
            except UsageError as error:
                raise SystemExit(str(error)) from None  # before there is a supervisor to start workers again
            circus.create_standalone_arbiter = functools.partial(circus.create_standalone_arbiter, check_delay=LOOK)

    def __call__(self) -> Any:
        """Return the instance that answers, kept for the door."""
        self.instance = super().__call__()
        return self.instance

    def to_asgi(self, is_main: bool = True) -> Any:
        """Return the application that a worker serves."""
        if find_spec("lightgbm"):
            import_alone()
        return Door(super().to_asgi(is_main), self)

    @property
    def openapi_spec(self) -> Any:
        """BentoML's description, and what it cannot know: errors, other bodies, headers, keys."""
        return Described(describe_service(super().openapi_spec.asdict(), ROUTE))


@dataclass(frozen=True)
class Described:
    """An OpenAPI document, as BentoML asks for it."""

    document: dict[str, Any]

    def asdict(self) -> dict[str, Any]:
        """Return the document."""
        return self.document


class Door:
    """Hands predictions to the endpoint and the rest to BentoML."""

    def __init__(self, app: Any, service: Front) -> None:
        self.app, self.service, self.guard = app, service, Guard.read()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        app: Any = self.app
        if scope["type"] == "http":
            if scope["path"] == ROUTE:
                app = self.service.instance.endpoint
            elif scope["path"] not in PROBES and not self.guard.admits(dict(scope["headers"])):
                error = {"error": "a key of this service is needed"}
                app = JSONResponse(error, 401, {"WWW-Authenticate": "Bearer"})
        await app(scope, receive, send)


class Body(IORootModel[Any]):  # type: ignore[misc]
    """The raw bytes of a request: whoever reads them can say what is wrong in words of rows and columns."""

    __root_input__: ClassVar[bool] = True
    described: ClassVar[dict[str, Any]] = {}

    @classmethod
    async def from_http_request(cls, request: Request, serde: Any) -> IODescriptor:
        """Return the body as it came; of one that is too long, no more than shows it to be so."""
        body = bytearray()
        async for part in request.stream():
            body += part[: MAX_BYTES + 1 - len(body)]
        return cls(bytes(body))

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the JSON Schema that was made from the model's own columns."""
        return {**copy.deepcopy(cls.described), "root_input": True}


class Answer(IORootModel[Any]):  # type: ignore[misc]
    """What goes out."""

    described: ClassVar[dict[str, Any]] = {}

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the JSON Schema that was made from the model's own classes."""
        return copy.deepcopy(cls.described)


def describe(folder: Path) -> tuple[type[Body], type[Answer]]:
    """Return the types of request and answer for the model in `folder`: columns, classes, an example."""
    contract = read_record(ProblemContract, folder / "contract.json")
    golden, schema = read_record(Golden, folder / "golden.json"), read_json(folder / "schema.json")
    kind = find_kind(contract)
    shown = None if kind.whole else 1
    rows = describe_rows(kind.ask(Schema.from_json(schema), contract), golden.rows[:shown])
    answers = describe_answers(contract, golden.predictions[:shown])
    return type("Rows", (Body,), {"described": rows}), type("Predictions", (Answer,), {"described": answers})


def to_response(reply: Reply) -> Response:
    """Return the reply as BentoML takes it from a method."""
    return Response(reply.body, reply.status, {"X-Model-Version": reply.version}, reply.kind)
