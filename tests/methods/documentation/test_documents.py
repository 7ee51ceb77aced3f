"""Documents: every figure is a reference, the same artifacts give the same bytes, and empty parts are left out."""

import json
import re
from typing import Any

import pandas as pd
import pytest

from mlnb.codec import encode, replace
from mlnb.methods.contracts.candidates import Candidate
from mlnb.methods.contracts.decisions import Decision, FittedDecision, ValueInterval
from mlnb.methods.contracts.evaluations import (
    DecidingMetric,
    Estimate,
    FairnessAssessment,
    GroupRates,
    IntervalCheck,
    Metrics,
    Reference,
)
from mlnb.methods.contracts.findings import Finding, FindingList
from mlnb.methods.contracts.gates import ALERT_ACCURACY, Gate, GateLine
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.documentation import documents
from mlnb.methods.documentation.document_macros import MACROS
from mlnb.methods.documentation.document_rendering import FreeNumber, template_numbers
from mlnb.methods.documentation.documents import READ, TEMPLATES, render_documents
from mlnb.methods.documentation.evidence import find_altered_spans, find_free_numbers
from mlnb.methods.documentation.open_questions import QUESTIONS, Answer, answer_questions
from mlnb.methods.tables.columns import Column, Schema

AUC = DecidingMetric(name="roc_auc", direction="maximize", value=0.8, low=0.75, high=0.85)
METRICS = Metrics(rows=5000, resamples=1000, level=0.95, deciding=AUC, scores={"roc_auc": AUC})
CONTRACT = ProblemContract(target="survived", task="binary", metric="roc_auc", classes=("no", "yes"))
COLUMNS = (Column("age", "number", missing=0.2), Column("a|b", "text", "dropped", reason="target leakage"))


def artifacts(**changes: Any) -> dict[str, Any]:
    """Return small artifacts as JSON, some of them replaced."""
    values = {
        "provenance": {"source": "titanic.csv", "rows": 891, "columns": ["age", "a|b"], "digest": "ab12"},
        "contract": CONTRACT,
        "schema": Schema(COLUMNS, 891).to_json(),
        "findings": FindingList(findings=()),
        "exploration": {"association": {"age": 0.3}, "close_pairs": [["age", "b", 0.99]]},
        "trials": pd.DataFrame({"family": ["linear", "linear"], "state": ["complete", "pruned"], "score": [0.79, 0.9]}),
        "best": Candidate(family="linear", metric="roc_auc", score=0.79, trials=2),
        "decision": FittedDecision(decision=Decision(), measured={}),
        "metrics": METRICS,
        "gate": Gate.of([GateLine(check="roc_auc", found="0.8", required="at least 0.7", passed=True)]),
        "certificate": None,
        "answers": answer_questions(),
        **changes,
    }
    return values


def card(**changes: Any) -> str:
    """Return the model card; every document must have evidence for each of its numbers."""
    given = artifacts(**changes)
    texts, evidence = render_documents(given)
    assert render_documents(given) == (texts, evidence), "the same artifacts give the same bytes"
    for name, text in texts.items():
        spans = evidence.documents[name].spans
        assert not find_free_numbers(text, spans) and not find_altered_spans(text, spans), name
    return texts["card"]


def test_a_decision_without_parts_has_no_section() -> None:
    assert "## Decision" not in card(metrics=replace(METRICS, calibration_error=None))


def test_templates_contain_no_number() -> None:
    for template in (MACROS, *TEMPLATES.values()):
        assert template_numbers(template) == []
    assert set(READ) | {"answers"} == artifacts().keys()


def test_a_number_in_a_template_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    original = TEMPLATES["card"]
    for wrong in ("{{ 95 }}", "{{ metrics.rows ~ '7' }}"):
        monkeypatch.setitem(documents.TEMPLATES, "card", original + wrong)
        with pytest.raises(FreeNumber, match="expected a reference"):
            render_documents(artifacts())
    monkeypatch.setitem(documents.TEMPLATES, "card", original + "On 95 rows.")
    texts, evidence = render_documents(artifacts())
    assert find_free_numbers(texts["card"], evidence.documents["card"].spans) == ["95"]


def test_every_digit_of_a_document_is_bound_to_its_artifact() -> None:
    texts, evidence = render_documents(artifacts())
    text, spans = texts["card"], evidence.documents["card"].spans
    for index in [match.start() for match in re.finditer(r"\d", text)]:
        changed = text[:index] + ("1" if text[index] != "1" else "2") + text[index + 1 :]
        assert find_altered_spans(changed, spans), text[index - 20 : index + 5]


def test_the_card_agrees_with_the_run() -> None:
    failed = Gate.of([GateLine(check="roc_auc", found="0.6", required="at least 0.7", passed=False)])
    assert "The gate has failed." in card(gate=failed) and "**failed** | roc\\_auc | 0.6" in card(gate=failed)
    met = GateLine(check="roc_auc", found="0.8", required="at least 0.7", passed=True)
    unknown = Gate.of([met, GateLine(check="age", found="–", required="0.1", passed=True, measured=False)])
    assert "The gate has passed, with unknown age." in card(gate=unknown)
    alerts = GateLine(check=ALERT_ACCURACY, found="–", required="labels", passed=True, measured=False)
    stable = DecidingMetric(name="stability", direction="maximize", value=0.9, low=0.8, high=0.95)
    unlabeled = card(gate=Gate.of([met, alerts]), metrics=replace(METRICS, deciding=stable, scores={}))
    assert "The gate has no result, with unknown accuracy of the alerts." in unlabeled
    cut = card(best=Candidate(family="linear", metric="roc_auc", score=0.79, trials=2, timed_out=True))
    assert "may give another model" in cut and "gives the same bytes" not in cut
    sampled = card(best=Candidate(family="linear", metric="roc_auc", score=0.79, trials=2, searched_rows=1000))
    assert "in cross-validation on a sample of 1,000 training rows" in sampled and "on a sample" not in card()
    assert "gives the same bytes" in card() and "The model is not packaged." in card()


def test_the_parts_of_a_rich_run() -> None:
    rates = [GroupRates(group=name, rows=2500, rates={"false_positive": 0.1}, compared=True) for name in ("f", "m")]
    difference = Estimate(value=0.02, low=0.0, high=0.05)
    fairness = FairnessAssessment(
        column="sex", limit=0.1, measure="equalized_odds", difference=difference, groups=rates
    )
    check = IntervalCheck(
        nominal=0.9, coverage=Estimate(value=0.89, low=0.8, high=0.95), width=3.2, score=4.1, passed=True
    )
    reference = Reference(scores={"roc_auc": 0.79}, difference=Estimate(value=0.0, low=-0.1, high=0.1))
    rich = replace(
        METRICS, rows=120, fairness=(fairness,), interval=check, references={"linear": reference},
        calibration_error=0.01, reuse=HoldoutReuse(rows=120, opened=12, trained=3, unknown=1, lost=2),
    )  # fmt: skip
    interval = ValueInterval(low=-1.0, high=2.0, x=(0.0,), scale=(1.0,), form="constant")
    contract = replace(CONTRACT, bound=0.7, costs=((0.0, 1.0), (5.0, 0.0)), limits={"precision": 0.5, "recall": 0.8})
    findings = [
        Finding(check="outliers", severity="warning", column="age", message="odd"),
        Finding(check="missing", severity="info"),
    ]
    measured = {"interval": {"reason": "held-out residuals", "rows": 100}}
    text = card(
        metrics=rich,
        contract=contract,
        decision={"decision": json.loads(encode(Decision(interval=interval))), "measured": measured},
        findings=FindingList(findings=tuple(findings)),
    )
    for part in (
        "12 of 120 test rows were in a test set opened before, and 3 earlier test rows",
        "sex: difference in equalized\\_odds 0.02 [0, 0.05]; limit 0.1.",
        "| f | 2,500 | 0.1 |",
        "Prediction intervals contain 0.89 [0.8, 0.95] of the true values, as required (90%)",
        "## Decision\n",
        "| interval | constant, 90% | held-out residuals |",
        "| true / predicted | no | yes |",
        "| yes | 5 | 0 |",
        "precision 0.5, recall 0.8",
        "not clearly better than a linear model (difference in roc\\_auc 0 [-0.1, 0.1])",
        "The test set is small (120 rows)",
        "| warning | age | odd | – |",
        "Further findings in the report: 1.",
        "| a\\|b | target leakage |",
        "age 20.0%",
        "| linear | 2 | 0.79 |",
    ):
        assert part in text, (part, text)


@pytest.mark.parametrize(
    ("score", "reason"),
    [(0.9, "or the search has overfitted the folds."), (0.7, "is better than those of the folds."), (0.8, "")],
)
def test_a_score_outside_the_test_interval_is_explained(score: float, reason: str) -> None:
    lines = card(best=Candidate(family="linear", metric="roc_auc", score=score, trials=2)).splitlines()
    stated = [line for line in lines if line.startswith("- Cross-validation gave")]
    assert [line.endswith(reason) for line in stated] == ([True] if reason else [])
    loss = replace(AUC, name="log_loss", direction="minimize")
    best = Candidate(family="linear", metric="log_loss", score=score, trials=2, direction="minimize")
    turned = card(best=best, metrics=replace(METRICS, deciding=loss, scores={"log_loss": loss}))
    assert ("overfitted" in turned) == (score == 0.7)


def test_many_classes_are_shortened() -> None:
    text = card(contract=ProblemContract(task="multiclass", target="t", classes=tuple(f"c{n}" for n in range(40))))
    assert "c11, and 28 more" in text and "c12" not in text


def test_points_are_evidence_answers_or_open() -> None:
    texts, evidence = render_documents(artifacts())
    document = texts["technical_documentation"]
    assert re.findall(r"^## (\d)\.", document, re.M) == list("123456789")
    assert len(evidence.documents["technical_documentation"].open_points) == 8
    assert "| 4 | Appropriateness of the performance metrics | evidence |" in document
    whole = {name: Answer(text="Written by the team.", origin="answers.yaml") for name in QUESTIONS}
    texts, evidence = render_documents(artifacts(answers=answer_questions(whole)))
    assert not any(one.open_points for one in evidence.documents.values())
    assert texts["technical_documentation"].count("human answer |") == 8
    for text in texts.values():
        assert not re.search(
            r"\b(complies|compliant|in conformity|conforms to)\b", text.replace("that the system conforms to", "")
        )


def test_an_answer_with_a_number_shows_its_source() -> None:
    answer = Answer(text="48 % are women", source="audit of 2025", origin="answers.yaml")
    assert "48 % are women (from answers.yaml; source: audit of 2025)" in card(
        answers=answer_questions({"groups": answer})
    )


@pytest.mark.parametrize("name", ["<script>", "a|b", "{{ metrics }}", "\ue000a\ue001x\ue002", "`x` 7", "a\nb"])
def test_hostile_names_are_shown_literally(name: str) -> None:
    text = card(schema=Schema((Column(name, "number", missing=0.5),), 9).to_json())
    assert "<script>" not in text and "\ue000" not in text
