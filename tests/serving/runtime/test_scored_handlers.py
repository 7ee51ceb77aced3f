"""Anomalies are scored row by row, rankings query by query."""

import numpy as np
import pyarrow as pa
import pytest
from decoded_tables import decoding
from small_models import make_model, make_rows

from mlnb.codec import replace
from mlnb.methods.models.fitted_models import Model
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.scored_handlers import AnomalyHandler, RankingHandler, number_queries, query_columns


@pytest.fixture(scope="module")
def anomalies(tmp_path_factory):
    folder = make_model(tmp_path_factory.mktemp("anomaly") / "model", "detector_ensemble", "anomaly")
    return AnomalyHandler(ModelParts.load(folder))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    folder = make_model(tmp_path_factory.mktemp("ranking") / "model", "lambdarank", "ranking")
    return RankingHandler(ModelParts.load(folder))


ROWS = [{"age": 31.0, "fare paid €": 7.25}, {"age": 80.0, "fare paid €": 9e5}]


def test_a_row_is_scored_as_among_others(anomalies):
    together = anomalies.respond(ROWS)
    assert together == [anomalies.respond([row])[0] for row in ROWS] and anomalies.respond([]) == []
    assert together[1].score > together[0].score
    assert "fare paid €" in anomalies.explain(ROWS)[1].columns


def test_an_anomaly_without_column_scores_is_not_explained(anomalies):
    native = anomalies.parts.model.native
    scorers = {name: scorer for name, scorer in native["scorers"].items() if name != "copod"}
    model = Model("detector_ensemble", "anomaly", 0, anomalies.parts.model.features, {**native, "scorers": scorers})
    with pytest.raises(BadRequest, match="cannot be explained"):
        AnomalyHandler(replace(anomalies.parts, model=model)).explain(ROWS)


def test_ranks_are_within_a_query(ranking):
    queries = ["a", "b", 1, "a"]
    rows = [{**ROWS[0], "visit": query, "fare paid €": 10.0 * number} for number, query in enumerate(queries)]
    responses = ranking.respond(rows)
    best = max((responses[0], responses[3]), key=lambda response: response.score)
    assert best.rank == 1 and {responses[0].rank, responses[3].rank} == {1, 2}
    assert responses[1].rank == responses[2].rank == 1
    alone = ranking.respond([{name: row[name] for name in ROWS[0]} for row in rows])  # no query is one query
    assert sorted(response.rank for response in alone) == [1, 2, 3, 4]
    for response, why in zip(responses, ranking.explain(rows), strict=True):
        assert response.score == pytest.approx(why.base + sum(why.columns.values()))


@pytest.mark.parametrize("task", ["anomalies", "ranking"])
def test_tables_get_the_responses_of_rows(request, task):
    handler = request.getfixturevalue(task)
    rows = [{name: row[name] for name in row if name != "note"} for row in make_rows(24)]
    rows = [row | ({"visit": f"visit {number // 8}"} if task == "ranking" else {}) for number, row in enumerate(rows)]
    with decoding() as read:
        (table,) = read(pa.Table.from_pylist(rows), handler.request_columns)
        (ungrouped,) = read(pa.Table.from_pylist(ROWS), handler.request_columns)
    assert handler.respond_to_table(table) == handler.respond(rows)
    assert handler.respond_to_table(ungrouped) == handler.respond(ROWS)


@pytest.mark.parametrize(("query", "description"), [(None, "nothing"), (["a"], "an object"), ({"a": 1}, "an object")])
def test_a_row_without_a_query_among_others_with_one_is_refused(ranking, query, description):
    with pytest.raises(BadRows) as caught:
        ranking.groups([{"visit": "a"}, {"visit": query}])
    assert (caught.value.row, caught.value.column, caught.value.found) == (1, "visit", description)


def test_queries_are_numbered_by_their_text(ranking):
    assert number_queries(["b", "a", "b", 1, "1"]).tolist() == [0, 1, 0, 2, 2]
    assert number_queries([]).dtype == np.int64
    column = query_columns(ranking.parts.schema, ranking.parts.contract).features[0]
    assert (column.name, column.role, column.nullable) == ("visit", "feature", True)
