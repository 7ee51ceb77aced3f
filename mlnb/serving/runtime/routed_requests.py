"""Requests whose rows belong to several models: split by the segment of each row, and joined in order of the rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlnb.codec import Json, JsonObject, convert, replace
from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.http_messages import Reply
from mlnb.serving.runtime.model_catalog import ModelCatalog, segment_of
from mlnb.serving.runtime.model_parts import Row
from mlnb.serving.runtime.request_bodies import SHOWN, BadRequest, BadRows, Refusal
from mlnb.suggestions import LISTED, list_names

LONGEST_VERSIONS = 1_000  # characters of the header X-Model-Version

_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class RequestPart:
    """The rows of a request that one model gets.

    Attributes:
        model: its name.
        rows: as the client sent them.
        numbers: of these rows in the request.
    """

    model: str
    rows: list[Row]
    numbers: list[int]

    def rows_without(self, segment: str) -> list[Row]:
        """Return the rows without the column of the segments."""
        return [{name: value for name, value in row.items() if name != segment} for row in self.rows]


def split_request(rows: Sequence[Row], catalog: ModelCatalog, models: Mapping[str, str]) -> list[RequestPart]:
    """Return the parts of a request, in the order of their first rows.

    Args:
        rows: of the request.
        catalog: of the service.
        models: name of the model of each segment in the catalog.

    Raises:
        BadRows: rows without the column of the segments.
        BadRequest: with status 404 for segments without a model where the service has no fallback, or when no column
            names the segments.
    """
    if not catalog.column:
        names = list_names([model.name for model in catalog.models])
        found, expected = "a request that names no model", f"POST /models/NAME/predict, with NAME one of {names}"
        raise BadRequest(f"found {found}, expected {expected}", [_problem(None, None, found, expected)], 404)
    missing = [number for number, row in enumerate(rows) if catalog.column not in row]
    if missing and not catalog.fallback:
        expected = f"the segment of the row, one of {list_names([*models])}"
        raise BadRows([_problem(number, catalog.column, "nothing", expected) for number in missing[:SHOWN]])
    parts: dict[str, RequestPart] = {}
    unknown: dict[str, int] = {}  # first row of each segment
    for number, row in enumerate(rows):
        segment = segment_of(row.get(catalog.column))
        model = models.get(segment, catalog.fallback)
        if not model:
            unknown.setdefault(segment, number)
            continue
        part = parts.setdefault(model, RequestPart(model, [], []))
        part.rows.append(row)
        part.numbers.append(number)
    if unknown:
        expected = f"one of {list_names([*models])}"
        problems = [_problem(number, catalog.column, _short(name), expected) for name, number in unknown.items()]
        raise BadRequest(f"found no model for a segment: {problems[0]}", problems[:LISTED], 404)
    return [*parts.values()]


def join_replies(parts: Sequence[RequestPart], replies: Sequence[Reply], rows: int, is_single: bool = False) -> Reply:
    """Return the reply to a whole request: the responses in the order of its rows, each with the model that made it.

    Args:
        parts: of the request.
        replies: to the parts, each with status 200.
        rows: of the request.
        is_single: whether the response is one object, to which the model can be added without reading it.
    """
    values: list[JsonObject] = [{}] * rows
    if len(parts) == 1:  # the responses of a forecast are not those of single rows
        if is_single and replies[0].body.endswith(b"}]"):
            return replace(
                replies[0], body=b'%b,"model":%b}]' % (replies[0].body[:-2], _encode(replies[0].version).encode())
            )
        values = _with_model(replies[0])
    else:
        for part, reply in zip(parts, replies, strict=True):
            for number, value in zip(part.numbers, _with_model(reply), strict=True):
                values[number] = value
    return Reply(200, _encode(values).encode(), join_versions([reply.version for reply in replies]))


def join_refusals(parts: Sequence[RequestPart], replies: Mapping[str, Reply]) -> Reply:
    """Return the refusal of a whole request of which models refused parts.

    Args:
        parts: of the request.
        replies: refusals by the name of the model; that with the highest status decides.
    """
    worst = max(replies.values(), key=lambda reply: reply.status)
    problems: list[RowProblem] = []
    log_texts = []
    for part in parts:
        reply = replies.get(part.model)
        if reply is None or reply.status != worst.status:
            continue
        refusal = convert(json.loads(reply.body), Refusal)
        problems += [
            each if each.row is None else replace(each, row=part.numbers[each.row]) for each in refusal.problems
        ]
        log_texts.append(reply.log_text)
    problems.sort(key=lambda each: -1 if each.row is None else each.row)
    error = BadRows(problems[:SHOWN]) if worst.status == 422 and problems else None
    body = error.refusal().encode() if error else worst.body
    log_text = error.log_text() if error else log_texts[0]
    return Reply(worst.status, body, join_versions([reply.version for reply in replies.values()]), log_text=log_text)


def join_versions(versions: Sequence[str]) -> str:
    """Return the versions of a response for its header, as many as fit."""
    text = ", ".join(dict.fromkeys(versions))
    return text if len(text) <= LONGEST_VERSIONS else f"{len(set(versions))} models"


def _with_model(reply: Reply) -> list[JsonObject]:
    model: Json = reply.version
    return [{**value, "model": model} for value in json.loads(reply.body)]


def _problem(row: int | None, column: str | None, found: str, expected: str) -> RowProblem:
    return RowProblem(row=row, column=column, found=found, expected=expected)


def _short(segment: str) -> str:
    return repr(segment if len(segment) <= 80 else f"{segment[:77]}...") if segment else "no segment"
