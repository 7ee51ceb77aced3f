"""Requests of several segments: their parts, and the replies that are joined again."""

import json

import pytest

from mlnb.methods.contracts.responses import RowProblem
from mlnb.serving.runtime.http_messages import Reply
from mlnb.serving.runtime.model_catalog import ModelCatalog, ServedModel
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.routed_requests import (
    LONGEST_VERSIONS,
    RequestPart,
    join_refusals,
    join_replies,
    join_versions,
    split_request,
)

MODELS = (
    ServedModel(name="churn.berlin", folder="b", segment="Berlin"),
    ServedModel(name="churn.7", folder="7", segment="7"),
    ServedModel(name="churn", folder="all"),
)
CATALOG = ModelCatalog(models=MODELS, column="store")


def split(rows, catalog=CATALOG):
    return split_request(rows, catalog, catalog.segments())


def test_rows_go_to_the_model_of_their_segment_in_any_spelling():
    rows = [{"store": "Berlin", "n": 0}, {"store": 7, "n": 1}, {"store": " Berlin ", "n": 2}, {"store": 7.0, "n": 3}]
    parts = split(rows)
    assert [(part.model, part.numbers) for part in parts] == [("churn.berlin", [0, 2]), ("churn.7", [1, 3])]
    assert parts[0].rows == [rows[0], rows[2]]
    assert parts[0].rows_without("store") == [{"n": 0}, {"n": 2}]
    assert split([]) == []


def test_unknown_and_missing_segments_are_listed_once_each():
    with pytest.raises(BadRequest) as raised:
        split([{"store": "Rome"}, {"store": "Berlin"}, {"store": "Rome"}, {"store": [1] * 99}])
    assert raised.value.status == 404 and [problem.row for problem in raised.value.problems] == [0, 3]
    assert "one of 7, Berlin" in str(raised.value) and len(raised.value.problems[1].found) < 90
    assert "Rome" not in raised.value.log_text().decode()  # a value of a request
    with pytest.raises(BadRows) as missing:
        split([{"store": "Berlin"}, {}, {}])
    assert [problem.row for problem in missing.value.problems] == [1, 2]


def test_the_fallback_gets_the_others():
    catalog = ModelCatalog(models=MODELS, column="store", fallback="churn")
    parts = split([{"store": "Rome"}, {"store": "Berlin"}, {}, {"store": None}], catalog)
    assert [(part.model, part.numbers) for part in parts] == [("churn", [0, 2, 3]), ("churn.berlin", [1])]


def test_replies_are_joined_in_the_order_of_the_rows():
    parts = [RequestPart("a", [{}, {}], [0, 2]), RequestPart("b", [{}], [1])]
    replies = [Reply(200, b'[{"prediction":1},{"prediction":3}]', "a:1"), Reply(200, b'[{"prediction":2}]', "b:1")]
    joined = join_replies(parts, replies, 3)
    assert [value["prediction"] for value in json.loads(joined.body)] == [1, 2, 3]
    assert [value["model"] for value in json.loads(joined.body)] == ["a:1", "b:1", "a:1"]
    forecast = join_replies(parts[:1], [Reply(200, b"[{},{},{}]", "a:1")], 2)  # three steps after a history of two
    assert json.loads(forecast.body) == [{"model": "a:1"}] * 3 and forecast.version == "a:1"
    one = Reply(200, b'[{"prediction":0.1,"p":{"a":1e-5}}]', 'b:"1"')
    added = join_replies(parts[1:], [one], 1, is_single=True)
    assert added.body == b'[{"prediction":0.1,"p":{"a":1e-5},"model":"b:\\"1\\""}]'  # numbers as the model wrote them
    assert json.loads(added.body) == json.loads(join_replies(parts[1:], [one], 1).body)
    with pytest.raises(ValueError, match="zip"):
        join_replies(parts, [replies[0], replies[0]], 3)


def test_refusals_name_the_rows_of_the_request():
    def refusal(status, *rows):
        problems = [RowProblem(row=row, column="age", found="'x'", expected="a number") for row in rows]
        error = BadRows(problems) if status == 422 else BadRequest("too slow", problems, status)
        return Reply(status, error.refusal().encode(), "m:1", log_text=error.log_text())

    parts = [RequestPart("a", [{}, {}], [0, 3]), RequestPart("b", [{}, {}], [1, 2])]
    joined = join_refusals(parts, {"a": refusal(422, 1), "b": refusal(422, 0, None)})
    assert joined.status == 422 and [each["row"] for each in json.loads(joined.body)["problems"]] == [None, 1, 3]
    assert b"'x'" not in joined.log_text and b"'x'" in joined.body
    worst = join_refusals(parts, {"a": refusal(422, 1), "b": refusal(504)})
    assert worst.status == 504 and json.loads(worst.body)["error"] == "too slow"


def test_the_header_with_versions_is_bounded():
    assert join_versions(["a:1", "b:1", "a:1"]) == "a:1, b:1"
    many = [f"churn-classifier.store-{number}:0123456789ab" for number in range(100)]
    assert join_versions(many) == "100 models" and len(", ".join(many)) > LONGEST_VERSIONS
