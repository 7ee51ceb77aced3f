"""A notebook file as typed cells: read from JSON, and written in the layout that nbdev uses."""

import ast
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from mlnb.engine.digests import digest_value, parse_python
from mlnb.errors import NotebookError

CONFLICT_TAG = "conflict"
CONFLICT_TITLE = "**Conflict: yours / new version**"
VALID_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
Json = dict[str, object]


class DocumentCell(msgspec.Struct, frozen=True):
    """One cell of any kind. `rest` holds its outputs, its execution count and its attachments, as in the file."""

    kind: str  # "code", "markdown" or "raw"
    source: str
    id: str = ""
    metadata: Json = {}
    rest: Json = {}

    @property
    def tags(self) -> tuple[str, ...]:
        """The cell's tags."""
        tags = self.metadata.get("tags", ())
        return tuple(str(tag) for tag in tags) if isinstance(tags, list | tuple) else ()

    @property
    def is_conflict(self) -> bool:
        """Whether `mlnb upgrade` has put the cell there to mark a conflict."""
        return CONFLICT_TAG in self.tags or (self.kind == "markdown" and self.source.startswith(CONFLICT_TITLE))


class Document(msgspec.Struct, frozen=True):
    """A notebook: its cells and its metadata."""

    cells: tuple[DocumentCell, ...]
    metadata: Json = {}


def read_document(data: bytes, where: str) -> Document:
    """Return the notebook that a file's bytes hold.

    Raises:
        NotebookError: the bytes are not a notebook of nbformat 4; the message starts with `where`.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except ValueError as error:
        raise NotebookError(f"{where} is not a notebook: {error}.") from error
    if not isinstance(value, dict) or not isinstance(value.get("cells"), list) or value.get("nbformat", 4) != 4:
        raise NotebookError(f"{where} is not a notebook of nbformat 4; open it in JupyterLab and save it again.")
    metadata = value.get("metadata")
    return Document(
        tuple(_read_cell(cell, f"{where}: cell {index}") for index, cell in enumerate(value["cells"])),
        metadata if isinstance(metadata, dict) else {},
    )


def _read_cell(value: object, where: str) -> DocumentCell:
    if not isinstance(value, dict) or value.get("cell_type") not in ("code", "markdown", "raw"):
        raise NotebookError(f"{where} is not a code, markdown or raw cell.")
    source, metadata = value.get("source", ""), value.get("metadata")
    rest = {name: part for name, part in value.items() if name not in ("cell_type", "source", "id", "metadata")}
    return DocumentCell(
        str(value["cell_type"]),
        "".join(map(str, source)) if isinstance(source, list) else str(source),
        str(value.get("id", "")),
        metadata if isinstance(metadata, dict) else {},
        rest,
    )


def write_document(document: Document) -> bytes:
    """Return the bytes of a notebook file in nbdev's layout; every cell gets a valid id that no other cell has."""
    value = {
        "cells": [_cell_value(cell) for cell in with_unique_ids(document.cells)],
        "metadata": document.metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair can be written as an escape only
        return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def set_defaults(data: bytes, values: Mapping[str, Any]) -> bytes:
    """Return a notebook whose parameters cell has other defaults; the bytes as they are when it has none of them.

    Args:
        data: Bytes of a notebook file.
        values: Values by name of a parameter.
    """
    document = read_document(data, "the notebook")
    cells = tuple(
        msgspec.structs.replace(cell, source=with_defaults(cell.source, values)) if "parameters" in cell.tags else cell
        for cell in document.cells
    )
    return data if cells == document.cells else write_document(Document(cells, document.metadata))


def with_defaults(source: str, values: Mapping[str, Any]) -> str:
    """Return the source of a parameters cell with other defaults; comments and all other lines stay.

    Args:
        source: The source.
        values: Values by name of a parameter; other names are ignored.
    """
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    starts = list(itertools.accumulate(map(len, lines), initial=0))
    text = source.encode()
    for node in reversed(parse_python(source).body):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value):
            continue
        if node.target.id in values:
            start = starts[node.value.lineno - 1] + node.value.col_offset
            end = starts[(node.value.end_lineno or 1) - 1] + (node.value.end_col_offset or 0)
            text = text[:start] + literal(values[node.target.id]).encode() + text[end:]
    return text.decode()


def literal(value: Any) -> str:
    """Return a value of a parameter as Python source, with double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(name)}: {literal(item)}' for name, item in value.items())}}}"
    return repr(value)


def _cell_value(cell: DocumentCell) -> Json:
    rest = dict(cell.rest)
    if cell.kind == "code":
        rest = {"outputs": [], "execution_count": None} | rest
        rest.pop("attachments", None)
    else:
        rest.pop("outputs", None)
        rest.pop("execution_count", None)
    source = cell.source.splitlines(keepends=True)
    return {"cell_type": cell.kind, "id": cell.id, "metadata": cell.metadata, "source": source, **rest}


def with_unique_ids(cells: Iterable[DocumentCell]) -> tuple[DocumentCell, ...]:
    """Return the cells with a new id where one is missing, invalid, or the id of an earlier cell."""
    seen: set[str] = set()
    result = []
    for position, cell in enumerate(cells):
        id, salt = cell.id, 0
        while not VALID_ID.fullmatch(id) or id in seen:
            id = digest_value([cell.kind, cell.source.encode("utf-8", "backslashreplace").decode(), position, salt])[:8]
            salt += 1
        seen.add(id)
        result.append(DocumentCell(cell.kind, cell.source, id, cell.metadata, cell.rest))
    return tuple(result)


def validate_document(data: bytes, where: str) -> None:
    """Raise `NotebookError` when the bytes are not a valid notebook by nbformat's schema."""
    import nbformat

    try:
        nbformat.validate(json.loads(data))
    except nbformat.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise NotebookError(
            f"{where} would not be a valid notebook: {reason}; repair the file in JupyterLab."
        ) from error


def conflict_places(document: Document) -> Iterator[str]:
    """Yield where the conflicts of a notebook are, one text for each."""
    marks = [index for index, cell in enumerate(document.cells) if cell.is_conflict]
    notes = [index for index in marks if document.cells[index].kind == "markdown"]
    for index in notes or marks:
        heads = [
            line.lstrip("#").strip()
            for cell in document.cells[:index]
            for line in cell.source.splitlines()
            if cell.kind == "markdown" and line.startswith("#")
        ]
        yield f"cell {index} ({heads[-1]})" if heads else f"cell {index}"


def refuse_conflicts(document: Document, where: str) -> None:
    """Raise `NotebookError` when a notebook has unresolved conflicts."""
    places = list(conflict_places(document))
    if places:
        raise NotebookError(
            f"{where}: {places[0]} is an unresolved conflict of `mlnb upgrade`, one of {len(places)}. "
            f"Keep what you want, then delete the cells tagged `{CONFLICT_TAG}`."
        )
