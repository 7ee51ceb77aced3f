"""Handles AWS Lambda events: function URLs, API Gateway (REST and HTTP), and lists of rows.

The events are described in https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html and in the pages of that
guide on API Gateway. The model is loaded when the module is imported, which is the cold start.
"""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mlnb.codec import Json, JsonObject
from mlnb.methods.contracts.responses import RowProblem
from mlnb.methods.recommendation.recommenders import to_response
from mlnb.serving.runtime.access import AccessControl
from mlnb.serving.runtime.http_messages import RECOMMEND_ROUTE, ROUTE
from mlnb.serving.runtime.json_rows import read_rows
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.recommendation_handler import read_users
from mlnb.serving.runtime.request_bodies import BadRequest
from mlnb.settings import ServiceSettings

SETTINGS = ServiceSettings()
MODEL = Path(SETTINGS.model or Path(os.environ.get("LAMBDA_TASK_ROOT", Path.cwd()), "model"))
VERSION = (MODEL / "version.txt").read_text("utf-8").strip()
PREDICTOR = Predictor.load(MODEL)
ACCESS = AccessControl.from_settings(SETTINGS)


def handle(event: Any, context: Any) -> Any:
    """Return the result of one event: predictions for a list of rows, else an HTTP response."""
    if isinstance(event, list):
        return PREDICTOR.predict(event)
    method, path = route(event)
    if path in ("/livez", "/readyz") and method == "GET":
        ready = path == "/livez" or PREDICTOR.replay() is None
        return respond(200 if ready else 503, {"ready": ready})
    handler = PREDICTOR.recommendations if path == RECOMMEND_ROUTE else None
    if path not in ("/", ROUTE) and handler is None:
        return respond(404, {"error": f"found {path}, expected POST {ROUTE}"})
    if method != "POST":
        return respond(405, {"error": f"found {method}, expected POST"}, {"Allow": "POST"})
    if not allowed(event):
        return respond(401, {"error": "expected the API key, as a bearer token"}, {"WWW-Authenticate": "Bearer"})
    try:
        if handler is not None:
            return respond(200, to_response(handler.respond(read_users(body_of(event)))))
        return respond(200, PREDICTOR.predict(read_rows(body_of(event))))
    except BadRequest as error:
        return respond(error.status, msgspec.to_builtins(error.refusal()))


def route(event: Any) -> tuple[str, str]:
    """Return method and path: in the request context of version 2.0, at the top of 1.0 and of load balancers."""
    context = event.get("requestContext") or {}
    http = context.get("http") or {}
    path = str(event.get("rawPath") or event.get("path") or "/")
    stage = context.get("stage")
    if stage and path.startswith(f"/{stage}/") and stage != "$default":
        path = path.removeprefix(f"/{stage}")  # HTTP APIs put the stage in front
    return str(http.get("method") or event.get("httpMethod") or "POST"), path.rstrip("/") or "/"


def body_of(event: Any) -> bytes:
    """Return the body's bytes. Raises `BadRequest` when they are not base64 and the event states that they are."""
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        problem = RowProblem(row=None, column=None, found="no base64", expected="base64, as the event states")
        raise BadRequest("the body: found no base64, expected base64, as the event states", [problem]) from None


def allowed(event: Any) -> bool:
    """Return whether the request has a key of `MLNB_API_KEY`; without that setting AWS alone authorizes requests."""
    headers = {str(name).lower().encode(): str(value).encode() for name, value in (event.get("headers") or {}).items()}
    return ACCESS.allows(headers)


def respond(status: int, value: Json, headers: Mapping[str, str] | None = None) -> JsonObject:
    """Return a response in the form that function URLs, both gateways and load balancers accept."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "X-Model-Version": VERSION, **(headers or {})},
        "body": json.dumps(value, allow_nan=False, separators=(",", ":")),
        "isBase64Encoded": False,
    }
