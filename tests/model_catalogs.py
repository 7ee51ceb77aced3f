"""Folders with several models and their catalog, and requests to a service of them without a server."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mlnb.codec import encode
from mlnb.engine.files import write_whole
from mlnb.serving.runtime.model_catalog import CATALOG, ModelCatalog, ServedModel


class Answer(NamedTuple):
    """Status, JSON value and headers of a response."""

    status: int
    value: Any
    headers: dict[str, str]


def copy_model(source: Path, target: Path, version: str) -> Path:
    """Return a copy of a model's folder with another version."""
    shutil.copytree(source, target)
    (target / "version.txt").write_text(f"{version}\n", "utf-8")
    return target


def write_catalog(
    folder: Path,
    folders: Mapping[str, Path],
    column: str = "store",
    fallback: str = "",
    routes: Mapping[str, Mapping[str, Any]] | None = None,
) -> Path:
    """Write the catalog of models, each of the segment that its name ends with; return its file.

    `routes` has canary, share and shadow by the name of the model.
    """
    models = tuple(
        ServedModel(
            name=name,
            folder=str(path),
            segment=name.partition(".")[2],
            **{role: one if role == "share" else str(one) for role, one in (routes or {}).get(name, {}).items()},
        )
        for name, path in folders.items()
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / CATALOG, encode(ModelCatalog(models=models, column=column, fallback=fallback)))
    return folder / CATALOG


async def send(
    endpoint: Any, path: str, rows: Any, headers: Mapping[str, str] | None = None, query: str = ""
) -> Answer:
    """Return the response to a POST of rows, or of a body as it is."""
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query.encode(), "headers": pairs}
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def keep(message: Any) -> None:
        sent.append(message)

    await endpoint(scope, receive, keep)
    start, content = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], json.loads(content["body"]), names)


def post(endpoint: Any, path: str, rows: Any, headers: Mapping[str, str] | None = None, query: str = "") -> Answer:
    """Return the response to a POST as `send`, outside of an event loop."""
    return asyncio.run(send(endpoint, path, rows, headers, query))
