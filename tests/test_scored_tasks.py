"""Rankings, logs of users and items, and anomalies: from a file to a verified service, on very little data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import toys
from in_process import mlnb_in_process

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.findings import FindingList
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden, to_wire
from mlnb.methods.decisions.decision_rules import read_decision
from mlnb.methods.models.fitted_models import load_model
from mlnb.methods.tables.columns import Schema
from mlnb.serving.runtime.model_parts import ModelParts
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.request_bodies import BadRows
from mlnb.serving.runtime.response_bodies import encode_responses
from mlnb.serving.runtime.scored_handlers import AnomalyHandler

QUICK = (
    "-p",
    "tune.trials",
    "1",
    "-p",
    "split.folds",
    "2",
    "-p",
    "evaluate.resamples",
    "50",
    "-p",
    "evaluate.repeats",
    "1",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project."""
    return toys.new_project(tmp_path_factory.mktemp("scored"))


def run(root: Path, table: pd.DataFrame, *arguments: str) -> runs.Run:
    """Return the run of a table."""
    table.to_parquet(root / "data.parquet")
    mlnb_in_process(root, "run", "--data", "data.parquet", *QUICK, "--no-report", *arguments)
    return runs.open_run(Project.find(root))


def searches(queries: int = 24, rows: int = 8) -> pd.DataFrame:
    """Return queries of eight rows that one column orders; rows of a query are not adjacent."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"query": np.repeat([f"q{n}" for n in range(queries)], rows)})
    table["match"] = random.normal(size=len(table))
    table["noise"] = random.normal(size=len(table))
    table["relevance"] = np.clip(np.round(table["match"] + 0.2 * table["noise"]), 0, 3).astype(int)
    return table.sample(frac=1, random_state=0, ignore_index=True)


def test_a_ranking_is_served_as_it_was_evaluated(root: Path) -> None:
    ranked = run(root, searches(), "--target", "relevance", "-p", "problem.task", "ranking", "-p", "problem.query",
                 "query", "--upto", "package", "-p", "tune.families", '["lambdarank"]',
                 "-p", "problem.latency_ms", "5000")  # fmt: skip
    contract, gate = ranked.load("contract", ProblemContract), ranked.load("gate", Gate)
    training, test = ranked.load("training"), ranked.load("test")
    assert (contract.metric, contract.at) == ("ndcg@5", 5)
    assert not set(training["query"]) & set(test["query"])  # a query is never torn apart
    folds = pd.Series(ranked.load("folds")).groupby(training["query"]).nunique()
    assert (folds == 1).all()
    assert ranked.load("metrics", Metrics).references["dummy"].difference.low > 0 and gate.passed
    assert "latency of one prediction" in [line.check for line in gate.lines]  # a budget is measured
    certificate = ranked.load("certificate", ParityCertificate)
    assert certificate.identical and certificate.bento.startswith("relevance-ranker")

    predictor = Predictor.load(Path(ranked.load("service")) / "model")
    assert predictor.replay() is None
    rows = [{"query": "a", "match": 0.0, "noise": 0.0}, {"query": "b", "match": 9.0, "noise": 0.0}]
    rows.append({"query": "a", "match": 9.0, "noise": 0.0})
    responses = predictor.predict(rows)
    assert [answer["rank"] for answer in responses] == [2, 1, 1] and responses[1]["score"] == responses[2]["score"]
    alone = predictor.predict([{name: row[name] for name in ("match", "noise")} for row in rows])
    assert sorted(answer["rank"] for answer in alone) == [1, 2, 3]  # no query named: one query
    why = predictor.explain(rows)
    assert why[1].columns["match"] > 0 > why[0].columns["match"]  # which column moved a score
    for wrong in ({"match": 1.0, "noise": 0.0}, {"query": ["a"], "match": 1.0, "noise": 0.0}):
        with pytest.raises(BadRows, match="row 3, column 'query'"):
            predictor.predict([*rows, wrong])


def test_a_log_becomes_a_service_that_recommends_and_the_newest_candidates_test_it(root: Path) -> None:
    random = np.random.default_rng(0)
    log = pd.DataFrame({"who": random.integers(0, 30, 900), "item": random.integers(0, 25, 900)})
    log["item"] = (log["who"] % 5) * 5 + log["item"] % 5 * (random.random(900) < 0.9)
    log["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(random.random(900)) * 90, unit="D")
    split = run(root, log, "--upto", "package", "-p", "problem.task", "ranking", "-p", "problem.query", "who",
                "-p", "problem.item", "item", "-p", "problem.time", "day", "-p", "tune.families", '["linear"]',
                "-p", "package.require_gate", "false")  # fmt: skip
    training, test = split.load("training"), split.load("test")
    assert training["cut"].max() < test["cut"].min() and test["cut"].nunique() == 1
    schema = {column["name"]: column["role"] for column in split.load("schema")["columns"]}
    assert {schema[name] for name in ("request", "cut", "who", "item")} == {"identifier"}
    assert schema["relevance"] == "target" and schema["together"] == "feature"
    messages = [
        finding.message for finding in split.load("findings", FindingList).findings if finding.check == "candidates"
    ]
    assert "of the later interactions" in messages[0]
    assert split.load("certificate", ParityCertificate).batching[-1] == "recommendations for users"
    predictor = Predictor.load(Path(split.load("service")) / "model")
    assert predictor.recommendations is not None and predictor.replay() is None
    requests = [{"user": 3, "k": 4}, {"user": "someone else", "k": 4}]
    responses = predictor.recommendations.respond(requests)
    assert [len(one.items) for one in responses] == [4, 4] and [one.fallback for one in responses] == [False, True]
    assert {"15", "16", "17", "18", "19"} & {one.item for one in responses[0].items}  # of the user's shelf, again


def test_unlabeled_anomalies_get_an_alert_budget_and_explanations(root: Path) -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(240, 3)), columns=["a", "b", "c"])
    table.loc[:9, "b"] += 9
    result = run(root, table, "--upto", "evaluate", "-p", "problem.task", "anomaly", "-p", "problem.alert_budget",
                "0.05", "-p", "problem.latency_ms", "5000")  # fmt: skip
    contract, best, gate = result.load("contract", ProblemContract), result.load("best"), result.load("gate", Gate)
    assert (contract.target, contract.contamination, best["family"]) == (None, 0.05, "detector_ensemble")
    assert result.load("metrics", Metrics).deciding.name == "stability" and gate.passed
    assert "within the budget" in [line.found for line in gate.lines]
    model = Path(result.load("model"))
    parts = ModelParts(contract, Schema.from_json(result.load("schema")), result.load("encoder"), load_model(model),
                  read_decision(model))  # fmt: skip
    service, golden = AnomalyHandler(parts), result.load("golden", Golden)
    assert parts.decision.threshold is not None and to_wire(service.respond(golden.rows)) == golden.predictions
    rows = [{"a": 0.0, "b": 30.0, "c": 0.0}, {"a": 0.1, "b": 0.2, "c": -0.1}]
    responses = service.respond(rows)
    assert [response.prediction for response in responses] == ["anomaly", "normal"]
    assert encode_responses(service.respond(rows[:1])) == encode_responses(responses[:1])  # one row as in a batch
    assert next(iter(service.explain(rows)[0].columns)) == "b"
