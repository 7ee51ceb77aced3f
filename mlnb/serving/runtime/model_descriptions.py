"""What a service of several models returns about them: their list, and the columns and responses of one."""

import json
from collections.abc import Mapping

from mlnb.codec import Json, JsonObject
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.recommendation.recommenders import METADATA, RecommenderMetadata
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.http_messages import MODELS_ROUTE, RECOMMEND_ROUTE, ROUTE, Reply, refuse
from mlnb.serving.runtime.model_catalog import ModelCatalog
from mlnb.serving.runtime.model_parts import read_example, read_json, read_record
from mlnb.serving.runtime.model_reloader import find_model
from mlnb.serving.runtime.model_slots import ModelSlot
from mlnb.serving.runtime.recommendation_handler import FOLDER
from mlnb.serving.runtime.recommendation_schemas import add_recommendations
from mlnb.serving.runtime.response_schemas import describe_model_service, describe_responses, describe_rows
from mlnb.serving.runtime.served_tasks import find_served_task
from mlnb.serving.runtime.traffic_routing import Canary, Shadow
from mlnb.suggestions import list_names


def describe_path(path: str, catalog: ModelCatalog, slots: Mapping[str, ModelSlot]) -> Reply | None:
    """Return what GET returns for the list of models, or for one of them; None: the path is none of theirs."""
    if path == MODELS_ROUTE:
        return _reply(list_slots(catalog, slots))
    if not path.startswith(f"{MODELS_ROUTE}/"):
        return None
    name, _, document = path.removeprefix(f"{MODELS_ROUTE}/").partition("/")
    slot = slots.get(name)
    if slot is None or document not in ("", "docs.json"):
        return unknown_model(name, slots)
    try:
        return _reply(describe_slot(slot, f"{MODELS_ROUTE}/{name}{ROUTE}", bool(document)))
    except (OSError, ValueError):
        return refuse(503, f"model {name} whose files cannot be read", "a model that `mlnb run` has packaged", "")


def unknown_model(name: str, slots: Mapping[str, ModelSlot]) -> Reply:
    """Return the reply to a request for a model that the service does not have."""
    return refuse(404, f"model {name[:80]!r}", f"one of {list_names([*slots])}; GET {MODELS_ROUTE} lists all", "")


def list_slots(catalog: ModelCatalog, slots: Mapping[str, ModelSlot]) -> JsonObject:
    """Return the list of the models: name, segment and state of each, and how rows are routed."""
    models: list[Json] = [_summarize(slot) for slot in slots.values()]
    return {"column": catalog.column or None, "fallback": catalog.fallback or None, "models": models}


def describe_slot(slot: ModelSlot, route: str, as_document: bool = False) -> JsonObject:
    """Return a model's task, columns, responses and an example; they are read from its files, loaded or not.

    Args:
        slot: the model.
        route: of its predictions.
        as_document: whether to return an OpenAPI document instead.

    Raises:
        OSError: a file is missing.
        ValueError: a file is damaged.
    """
    folder = find_model(slot.folder)
    if folder is None:
        raise FileNotFoundError(f"{slot.folder} is missing")
    contract = read_record(ProblemContract, folder / "contract.json")
    example, schema = read_example(folder), Schema.from_json(read_json(folder / "schema.json"))
    rows = describe_rows(find_served_task(contract).columns(schema, contract), example.rows)
    responses = describe_responses(contract, example.predictions)
    if as_document:
        document = describe_model_service(slot.model.name, route, rows, responses)
        path = folder / FOLDER / METADATA
        if not path.is_file():
            return document
        recommend = f"{route.removesuffix(ROUTE)}{RECOMMEND_ROUTE}"
        return add_recommendations(document, recommend, read_record(RecommenderMetadata, path))
    version = (folder / "version.txt").read_text("utf-8").strip()
    described: JsonObject = {"version": version, "task": str(contract.task), "target": contract.target, "route": route}
    return {**_summarize(slot), **described, "rows": rows, "responses": responses}


def _summarize(slot: ModelSlot) -> JsonObject:
    endpoint = slot.endpoint
    return {
        "name": slot.model.name,
        "segment": slot.model.segment or None,
        "state": slot.state,
        "version": endpoint.reloader.current.version if endpoint is not None else None,
        "canary": _version_of(endpoint.router.canary) if endpoint is not None else None,
        "shadow": _version_of(endpoint.router.shadow) if endpoint is not None else None,
        "failure": slot.failure or None,
        "bytes": slot.size or None,
    }


def _version_of(routed: Canary | Shadow | None) -> str | None:
    """Return the version of a canary or shadow; None: there is none, or it has been refused."""
    return routed.reloader.current.version if routed is not None and routed.reloader.named else None


def _reply(value: JsonObject) -> Reply:
    return Reply(200, json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode(), "")
