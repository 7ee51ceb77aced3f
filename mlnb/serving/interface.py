"""BentoML's side of the request path: how bodies come in, answers go out, and what OpenAPI says."""

import copy
import json
from pathlib import Path
from typing import Any, ClassVar

from _bentoml_sdk.io_models import IODescriptor, IORootModel
from starlette.requests import Request
from starlette.responses import Response

from mlnb.methods.columns import Schema
from mlnb.serving.bodies import MAX_BYTES, BadRequest
from mlnb.serving.descriptions import describe_answers, describe_rows


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
    contract, schema, golden = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("contract", "schema", "golden")
    )
    rows = describe_rows(Schema.from_json(schema), golden["rows"][:1])
    answers = describe_answers(contract, golden["predictions"][:1])
    return type("Rows", (Body,), {"described": rows}), type("Predictions", (Answer,), {"described": answers})


def reply(value: Any, version: str, status: int = 200) -> Response:
    """Return a JSON response that names the model's version in the header `X-Model-Version`."""
    body = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Response(body, status, {"X-Model-Version": version}, "application/json")


def refuse(error: BadRequest, version: str) -> Response:
    """Return the response that tells a client what to change."""
    return reply(error.answer(), version, error.status)
