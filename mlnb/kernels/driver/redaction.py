"""Replaces secrets in what a notebook shows before it is written."""

from collections.abc import Mapping
from typing import Any


def redact(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return text, or anything made of text, with every secret's value replaced by `${NAME}`.

    Args:
        value: text, or dicts and lists of it; other values stay as they are.
        secrets: name -> value.
    """
    if isinstance(value, str):
        for name, secret in secrets.items():
            if secret:
                value = value.replace(secret, f"${{{name}}}")
        return value
    if isinstance(value, dict):
        return type(value)({key: redact(item, secrets) for key, item in value.items()})
    return [redact(item, secrets) for item in value] if isinstance(value, list) else value


def redact_cells(cells: list[Any], secrets: Mapping[str, str]) -> None:
    """Replace every secret in the outputs of cells by its name, in place."""
    if secrets:
        for cell in cells:
            if cell.get("outputs"):
                cell["outputs"] = redact(cell["outputs"], secrets)
