"""Model card: each section, empty artifacts, and names that are hostile."""

import pandas as pd

from mlnb.codec import replace
from mlnb.methods.audit.exploration import Exploration
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.evaluations import DecidingMetric, Estimate, Metrics, Reference
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.contracts.gates import Gate, GateLine
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.documentation.model_card import (
    describe_associations,
    describe_contract,
    describe_data,
    describe_findings,
    describe_gate,
    describe_metrics,
    describe_search,
    list_limitations,
)
from mlnb.methods.tables.columns import Column, Schema

AUC = DecidingMetric(name="roc_auc", direction="maximize", value=0.8, low=0.75, high=0.85)
METRICS = Metrics(rows=5000, resamples=1000, level=0.95, deciding=AUC, scores={"roc_auc": AUC})


def test_limitations_of_a_large_test_set() -> None:
    bound = ProblemContract(task="binary", metric="roc_auc", bound=0.7)
    linear = Reference(scores={}, difference=Estimate(value=0.0, low=-0.1, high=0.1))
    large = replace(METRICS, references={"linear": linear})
    sentences = list_limitations(bound, large, [], Candidate(family="linear", score=0.8))
    assert "not clearly better than a linear model" in sentences[2]
    assert len(list_limitations(bound, METRICS, [], Candidate(family="linear"))) == 2


def test_contract_hides_fields_without_value() -> None:
    contract = ProblemContract(target="survived", task="binary", metric="roc_auc")
    assert "precision 0.5, recall 0.8" in describe_contract(replace(contract, limits={"precision": 0.5, "recall": 0.8}))
    assert "goal" not in describe_contract(contract) and "bound" not in describe_contract(contract)
    many = describe_contract(ProblemContract(task="multiclass", classes=tuple(f"c{n}" for n in range(40))))
    assert "and 28 more" in many and "c12" not in many


def test_data_escapes_names() -> None:
    columns = (Column("age", "number", missing=0.2), Column("a|b", "text", "dropped", reason="target leakage"))
    data = describe_data({"source": "titanic.csv", "rows": 891, "columns": ["age", "a|b"]}, Schema(columns, 891))
    assert "| rows | 891 |" in data and "The model uses 1 column (1 number)." in data and "age 20.0%" in data
    assert "| a\\|b | target leakage |" in data
    assert describe_data({}, Schema((), 0)) == "The model uses no column."


def test_findings_are_listed_by_severity() -> None:
    findings = [
        Finding(check="outliers", severity="warning", column="age", message="odd"),
        Finding(check="missing", severity="info"),
    ]
    result = describe_findings(findings)
    assert "| warning | age | odd | – |" in result and "The report has 1 further finding." in result
    assert describe_findings([]) == "No errors and no warnings."


def test_search_without_a_finite_score() -> None:
    trials = pd.DataFrame(
        [("lightgbm", "complete", 0.87), ("linear", "complete", float("nan")), ("linear", "pruned", 0.99)],
        columns=["family", "state", "score"],
    )
    best = Candidate(family="lightgbm", metric="roc_auc", score=0.87, params={"rounds": 80, "learning_rate": 0.05})
    search = describe_search(best, trials)
    assert "| linear | 2 | – |" in search and "learning\\_rate 0.05, rounds 80." in search


def test_metrics_start_with_the_deciding_one() -> None:
    metrics = replace(METRICS, scores={"accuracy": Estimate(value=0.8), "roc_auc": AUC})
    table = describe_metrics(metrics)
    assert table.index("roc") < table.index("accuracy") and describe_metrics(replace(metrics, scores={})) == ""


def test_associations_and_gate() -> None:
    empty = Exploration(rows=891, summarized_rows=891, target=None, columns={}, association={})
    strong = replace(empty, association={"fare": 0.25, "sex": 0.5}, close_pairs=(("class", "pclass", 1.0),))
    text = describe_associations(strong)
    assert "strongest first: sex 0.5, fare 0.25." in text and "Redundant pairs: class and pclass (1)." in text
    assert describe_associations(empty) == ""
    line = GateLine(check="better than the dummy baseline", found="0.1", required="above 0", passed=False)
    assert "| **failed** | better than the dummy baseline | 0.1 | above 0 |" in describe_gate(Gate.of([line]))
    assert describe_gate(Gate.of([])) == "The gate has no checks."
