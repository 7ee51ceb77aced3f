"""JSON Schema for the rows and the responses of one model, as the service's OpenAPI page shows them."""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

from mlnb.codec import Json, JsonObject
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tables.columns import Column, Schema
from mlnb.methods.tables.values import BOOLEAN_WORDS
from mlnb.methods.tasks.responders import form_of
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

WORDS = [*BOOLEAN_WORDS, ""]
BLANK: JsonObject = {"type": "string", "enum": [""]}  # missing
JSON_KINDS: dict[str, JsonObject] = {
    "number": {"type": "number"},
    "boolean": {"anyOf": [{"type": "boolean"}, {"type": "number", "enum": [0, 1]}, {"type": "string", "enum": WORDS}]},
    "category": {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]},
    "text": {"type": "string"},
    "date": {"anyOf": [*({"type": "string", "format": form} for form in ("date-time", "date")), BLANK]},
}
HEADERS = {"X-Model-Version": "name and version of the model", "X-Request-Id": "the id of the request, or a new one"}
STATUSES = {
    "400": "The body is not a list of objects by column name, or an option has no such value.",
    "401": "The service requires a key, and the request has none or another.",
    "413": "Too many bytes or rows: send them in parts.",
    "415": "A body of a type or encoding that this service does not read.",
    "422": "Rows that do not fit the model's columns; each problem names row and column.",
    "503": "Too many connections or batches, or too little memory: try again later.",
    "504": "The rows took too long: send fewer at a time.",
}
PARAMETERS: list[JsonObject] = [
    {
        "name": "explain",
        "in": "query",
        "description": "true: each response has an explanation: what each column added to the raw score",
        "schema": {"type": "boolean", "default": False},
    },
    {"name": "X-Request-Id", "in": "header", "description": "comes back unchanged", "schema": {"type": "string"}},
]
PROBLEM: JsonObject = {
    "type": "object",
    "properties": {
        "row": {"type": "integer", "nullable": True, "description": "number of the row, from 0"},
        "column": {"type": "string", "nullable": True},
        "found": {"type": "string"},
        "expected": {"type": "string"},
    },
}
REFUSAL: JsonObject = {
    "type": "object",
    "title": "Refusal",
    "properties": {"error": {"type": "string"}, "problems": {"type": "array", "items": PROBLEM}},
    "required": ["error", "problems"],
}
EXPLANATION: JsonObject = {
    "type": "object",
    "description": "with explain=true: what each column added to the raw score; base and columns sum to it",
    "properties": {
        "class": {"type": "string", "nullable": True, "description": "the class whose score it is"},
        "score": {"type": "number"},
        "base": {"type": "number"},
        "columns": {"type": "object", "additionalProperties": {"type": "number"}},
        "words": {
            "type": "object",
            "description": "of each text: the words with the largest contributions to its own score for that class",
            "additionalProperties": {"type": "object", "additionalProperties": {"type": "number"}},
        },
    },
}
OPTIONAL = {"interval"}  # properties that a response need not have


def describe_rows(schema: Schema, example: Sequence[JsonObject]) -> JsonObject:
    """Return the JSON Schema of a request: a list of objects with the columns that the model reads."""
    columns = {column.name: describe_column(column) for column in schema.features}
    required = [column.name for column in schema.features if not column.nullable]
    row: dict[str, Json] = {"type": "object", "title": "Row", "properties": columns, "additionalProperties": False}
    if required:
        row["required"] = required
    return {"type": "array", "title": "Rows", "items": row, "example": example}


def describe_column(column: Column) -> JsonObject:
    """Return the JSON Schema of one column: its type, an example, and what was seen in training."""
    described: dict[str, Json] = {**JSON_KINDS[column.kind], "nullable": True}
    if column.example is not None:
        described["example"] = column.example
    notes = []
    if not column.personal and column.minimum is not None and column.maximum is not None:
        whole = "whole, " if column.integer else ""
        low, high = _outward(column.minimum, math.floor), _outward(column.maximum, math.ceil)
        notes.append(f"{whole}about {low} to {high} in training")
    if column.common:
        more = max(0, len(column.categories or ()) - len(column.common))
        notes.append(f"seen in training: {', '.join(column.common)}{f' and {more} more' if more else ''}")
    if column.nullable:
        notes.append("may be left out")
    if notes:
        described["description"] = "; ".join(notes)
    return described


def describe_responses(contract: ProblemContract, example: Sequence[JsonObject]) -> JsonObject:
    """Return the JSON Schema of a response's body: one object a row, with the properties of the kind of problem."""
    properties = form_of(contract.task).properties(contract)
    required = sorted(set(properties) - OPTIONAL)
    properties = {**properties, "explanation": EXPLANATION}
    item: JsonObject = {"type": "object", "title": "Prediction", "properties": properties, "required": required}
    return {"type": "array", "title": "Predictions", "items": item, "example": example}


def describe_service(document: Any, route: str) -> Any:
    """Return an OpenAPI document with all bodies, headers, errors and keys of `route`."""
    document = copy.deepcopy(document)
    components = document.setdefault("components", {})
    components["schemas"] = {"Refusal": REFUSAL}  # BentoML's are of other versions of JSON Schema, and none is used
    components["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    document["security"] = [{}, {"key": []}, {"bearer": []}]
    operation = document["paths"][route]["post"]
    operation["parameters"] = PARAMETERS
    operation["requestBody"]["required"] = True
    content = operation["requestBody"]["content"]
    content["application/json"]["schema"].pop("root_input", None)
    for kind in (ARROW, PARQUET):
        content[kind] = {"schema": {"type": "string", "format": "binary"}}
    answered = operation["responses"]["200" if "200" in operation["responses"] else 200]
    operation["responses"] = add_refusals(answered)
    return document


def add_refusals(answered: Any) -> dict[str, Any]:
    """Return the responses of an operation by status: `answered` for 200, and the refusals; all with headers."""
    headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()}
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    return {"200": {**answered, "headers": headers}} | {
        status: {"description": text, "content": refused, "headers": headers} for status, text in STATUSES.items()
    }


def describe_model_service(name: str, route: str, rows: JsonObject, responses: JsonObject) -> JsonObject:
    """Return the OpenAPI document of one model of a service of several.

    Args:
        name: of the model.
        route: of its predictions.
        rows: JSON Schema of a request.
        responses: JSON Schema of a response's body.
    """
    operation = {
        "summary": "predict",
        "requestBody": {"content": {"application/json": {"schema": dict(rows)}}},
        "responses": {
            "200": {"description": "one prediction a row", "content": {"application/json": {"schema": responses}}}
        },
    }
    information = {"title": name, "version": "1"}
    document: JsonObject = describe_service(
        {"openapi": "3.0.2", "info": information, "paths": {route: {"post": operation}}}, route
    )
    return document


def _outward(value: float | str, towards: Callable[[float], int]) -> str:
    """Return the end of a range rounded outwards, so that it is no single row's value: of dates the year."""
    if isinstance(value, str):
        return value[:4]
    if not value or not math.isfinite(value):
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return f"{towards(round(value / unit, 9)) * unit:.6g}"
