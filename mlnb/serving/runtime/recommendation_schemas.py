"""The OpenAPI description of requests for recommendations."""

from typing import Any

from mlnb.codec import Json, JsonObject
from mlnb.methods.recommendation.recommenders import DEFAULT_ITEMS, MOST_ITEMS, RecommenderMetadata
from mlnb.serving.runtime.recommendation_handler import MOST_REQUESTS
from mlnb.serving.runtime.response_schemas import PARAMETERS, add_refusals

EXAMPLE: dict[str, Json] = {"user": "unknown user", "k": 3}  # a request that names no person
TEXT: JsonObject = {"anyOf": [{"type": "string"}, {"type": "number"}]}


def describe_requests(metadata: RecommenderMetadata) -> JsonObject:
    """Return the JSON Schema of a request: a list with one object for each user."""
    fields: dict[str, Json] = {
        "user": {**TEXT, "description": f"a user, as in the column {metadata.user_column!r} of the log"},
        "k": {"type": "integer", "minimum": 1, "maximum": MOST_ITEMS, "default": DEFAULT_ITEMS},
        "exclude": {
            "type": "array",
            "items": TEXT,
            "default": [],
            "description": f"items that are not recommended, as in the column {metadata.item_column!r} of the log",
        },
    }
    user: JsonObject = {"type": "object", "properties": fields, "required": ["user"], "additionalProperties": False}
    return {"type": "array", "title": "Users", "maxItems": MOST_REQUESTS, "items": user, "example": [EXAMPLE]}


def describe_recommendations() -> JsonObject:
    """Return the JSON Schema of a response: one object for each user."""
    item: JsonObject = {
        "type": "object",
        "properties": {
            "item": {"type": "string"},
            "score": {"type": "number", "description": "higher is better; comparable within a response only"},
        },
        "required": ["item", "score"],
    }
    fallback = (
        "whether the log does not have the user, who gets popular items, scored by their share of recent interactions"
    )
    fields: dict[str, Json] = {
        "fallback": {"type": "boolean", "description": fallback},
        "items": {"type": "array", "items": item, "description": "the best first"},
    }
    user: JsonObject = {"type": "object", "properties": fields, "required": ["fallback", "items"]}
    return {"type": "array", "title": "Recommendations", "items": user}


def add_recommendations(document: Any, route: str, metadata: RecommenderMetadata) -> JsonObject:
    """Return an OpenAPI document with the path of recommendations added; `document` is from `describe_service`."""
    answered: JsonObject = {
        "description": "the recommended items of each user, in the order of the request",
        "content": {"application/json": {"schema": describe_recommendations()}},
    }
    operation = {
        "summary": "recommend",
        "description": (
            f"Returns the best items for each user. The log has {metadata.users:,} users, {metadata.items:,} items and "
            f"{metadata.interactions:,} interactions; requests are not logged."
        ),
        "parameters": [each for each in PARAMETERS if each["name"] == "X-Request-Id"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": describe_requests(metadata)}},
        },
        "responses": add_refusals(answered),
    }
    return {**document, "paths": {**document["paths"], route: {"post": operation}}}
