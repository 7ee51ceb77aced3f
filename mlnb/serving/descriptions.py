"""JSON Schema for the rows and the answers of one very model, as a service's OpenAPI page shows them."""

from typing import Any

from mlnb.methods.columns import Column, Schema
from mlnb.serving.tasks import find_kind

JSON_KINDS: dict[str, dict[str, Any]] = {
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "category": {"type": "string"},
    "text": {"type": "string"},
    "date": {"type": "string", "format": "date-time"},
}
LISTED = 20  # categories named in a description


def describe_rows(schema: Schema, example: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema of a request: a list of objects with the columns that the model reads."""
    columns = {column.name: describe_column(column) for column in schema.features}
    required = [column.name for column in schema.features if not column.nullable]
    row: dict[str, Any] = {"type": "object", "title": "Row", "properties": columns}
    if required:
        row["required"] = required
    return {"type": "array", "title": "Rows", "items": row, "example": example}


def describe_column(column: Column) -> dict[str, Any]:
    """Return the JSON Schema of one column: its type, an example, and what was seen in training."""
    described = {**JSON_KINDS[column.kind], "nullable": True}
    if column.example is not None:
        described["example"] = column.example
    notes = []
    if column.minimum is not None and column.maximum is not None:
        whole = "whole, " if column.integer else ""
        notes.append(f"{whole}{_short(column.minimum)} to {_short(column.maximum)} in training")
    if column.categories:
        more = f" and {len(column.categories) - LISTED} more" if len(column.categories) > LISTED else ""
        notes.append(f"seen in training: {', '.join(column.categories[:LISTED])}{more}")
    if column.nullable:
        notes.append("may be left out")
    if notes:
        described["description"] = "; ".join(notes)
    return described


def describe_answers(contract: dict[str, Any], example: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema of an answer: one object a row, as the kind of problem has it."""
    properties = find_kind(contract).describe(contract)
    item = {"type": "object", "title": "Prediction", "properties": properties, "required": sorted(properties)}
    return {"type": "array", "title": "Predictions", "items": item, "example": example}


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
