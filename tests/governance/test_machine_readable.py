"""Documents for other programs: each is valid in its format, for every task and whatever is known about the data."""

import json
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from example_run import Example
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlnb.codec import replace
from mlnb.governance.croissant_metadata import UNSTATED, croissant_metadata
from mlnb.governance.document_inputs import DataColumn, DocumentInputs, read_inputs
from mlnb.governance.hugging_face_card import card_metadata
from mlnb.governance.machine_readable import BILL, CARD, CROISSANT, machine_readable
from mlnb.governance.model_bill import model_bill
from mlnb.methods.contracts.evaluations import DecidingMetric, Estimate, Slice, SliceReport
from mlnb.methods.documentation.open_questions import QUESTIONS, Answer, Answers
from mlnb.methods.tasks.task_traits import Task
from mlnb.reports.run_documents import write_documents

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)
REQUIRED = {"@context", "@type", "conformsTo", "name", "description", "license", "url", "creator", "datePublished"}
TYPES = {"sc:Text", "sc:Integer", "sc:Float", "sc:Boolean", "sc:DateTime"}
TEXTS = st.text('aé😀 "\\\n{}:#-\u2028', max_size=12)


@pytest.fixture(scope="module", params=["binary", "regression"])
def inputs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, example: Example
) -> DocumentInputs:
    project = example.make_project(tmp_path_factory.mktemp("documents"))
    return read_inputs(example.make_run(project, task=request.param))


def check_bill(bill: Any) -> Any:
    """Return the component of the model of a valid CycloneDX document."""
    problem = VALIDATOR.validate_str(json.dumps(bill))
    assert problem is None, problem
    references = {component["bom-ref"] for component in bill["components"]}
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model" and model["modelCard"]["modelParameters"]["datasets"]
    assert {entry["ref"] for entry in bill["dependencies"]} == {model["bom-ref"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == references
    return model


def check_croissant(document: Any) -> None:
    """Require what Croissant 1.0 requires of a data set, its files, record sets and fields."""
    assert set(document) >= REQUIRED and all(document[name] for name in REQUIRED)
    assert document["@type"] == "sc:Dataset" and "http://mlcommons.org/croissant/1.0" in document["conformsTo"]
    assert document["@context"]["conformsTo"] == "dct:conformsTo" and document["@context"]["@vocab"]
    files = {file["@id"]: file for file in document["distribution"]}
    for file in files.values():
        assert file["@type"] == "cr:FileObject" and len(file["sha256"]) == 64
        assert file["name"] and file["contentUrl"] and "/" in file["encodingFormat"]
    identifiers = [*files]
    for records in document["recordSet"]:
        identifiers.append(records["@id"])
        for field in records["field"]:
            identifiers.append(field["@id"])
            assert field["@type"] == "cr:Field" and field["dataType"] in TYPES and "name" in field
            assert field["source"]["fileObject"]["@id"] in files and "column" in field["source"]["extract"]
    assert len(identifiers) == len(set(identifiers))
    rai = [name for name in document if name.startswith("rai:")]
    assert not rai or "http://mlcommons.org/croissant/RAI/1.0" in document["conformsTo"]


def check_card(metadata: Any) -> None:
    """Require what Hugging Face requires of a model-index."""
    assert isinstance(metadata["tags"], list) and isinstance(metadata["metrics"], list)
    for entry in metadata["model-index"]:
        assert entry["name"]
        for result in entry["results"]:
            assert result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
            assert result["metrics"] and all(isinstance(metric["value"], float | int) for metric in result["metrics"])


def test_the_documents_of_a_run_are_valid_and_the_same_again(inputs: DocumentInputs) -> None:
    texts = machine_readable(inputs.run)
    assert texts == machine_readable(inputs.run)
    model = check_bill(json.loads(texts[BILL]))
    scores = {score["type"]: score for score in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]}
    deciding = inputs.metrics.deciding
    assert float(scores[deciding.name]["value"]) == deciding.value
    assert float(scores[deciding.name]["confidenceInterval"]["upperBound"]) == deciding.high
    check_croissant(croissant := json.loads(texts[CROISSANT]))
    assert [field["name"] for field in croissant["recordSet"][0]["field"]] == [c.name for c in inputs.data.columns]
    _, front, card = texts[CARD].split("---\n", 2)
    check_card(metadata := yaml.safe_load(front))
    assert metadata["pipeline_tag"] == f"tabular-{'classification' if deciding.name == 'roc_auc' else 'regression'}"
    assert card.strip() == str(inputs.run.load("card")).strip()


def test_the_files_are_written_with_the_other_documents(inputs: DocumentInputs) -> None:
    write_documents(inputs.run)
    for name, text in machine_readable(inputs.run).items():
        assert (inputs.run.folder / "documents" / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("task", Task)
def test_every_task_has_valid_documents(inputs: DocumentInputs, task: Task) -> None:
    target = None if task == Task.ANOMALY else "y"
    other = inputs._replace(contract=replace(inputs.contract, task=task, target=target), certificate=None)
    check_bill(model_bill(other))
    check_card(metadata := card_metadata(other))
    assert ("pipeline_tag" in metadata) == (task not in (Task.ANOMALY, Task.RANKING))
    assert other.model == (target or "anomalies", inputs.run.id)


def test_what_nobody_has_stated_is_left_out(inputs: DocumentInputs) -> None:
    silent = Answers(answers=dict.fromkeys(QUESTIONS, Answer()))
    other = inputs._replace(answers=silent, data=inputs.data._replace(digest="", size=None))
    model = check_bill(model_bill(other))
    assert model["modelCard"]["considerations"] == {}
    check_croissant(document := croissant_metadata(other))
    assert document["license"] == UNSTATED and document["recordSet"] == [] == document["distribution"]
    assert not [name for name in document if name.startswith("rai:")]
    undefined = DecidingMetric(name="roc_auc", direction="maximize", value=None)
    scores = {name: Estimate(value=None) for name in inputs.metrics.scores}
    other = inputs._replace(metrics=replace(inputs.metrics, deciding=undefined, scores=scores))
    assert check_bill(model_bill(other))["modelCard"]["quantitativeAnalysis"]["performanceMetrics"] == []
    check_card(metadata := card_metadata(other))
    assert metadata["model-index"] == []


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=TEXTS, kind=st.sampled_from(["number", "category", "date", "boolean", "vector"]), owner=TEXTS, text=TEXTS)
def test_any_texts_give_valid_documents(inputs: DocumentInputs, name: str, kind: str, owner: str, text: str) -> None:
    columns = (DataColumn(name, kind, "feature", True, text), DataColumn(name + "!", kind, "", False, ""))
    data = inputs.data._replace(source=f"a/{name}.csv", licence=owner, owner=owner, columns=columns)
    answers = Answers(answers=dict.fromkeys(QUESTIONS, Answer(text=text)))
    part = Slice(name=text, rows=9, share=0.1, loss=None, rest_loss=None, p_value=None, metric=0.5)
    metrics = replace(inputs.metrics, family=text, slices=SliceReport(slices=(part,)))
    other = inputs._replace(data=data, answers=answers, metrics=metrics)
    model = check_bill(model_bill(other))
    assert any(text in score["slice"] for score in model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"])
    check_croissant(croissant_metadata(other))
    check_card(yaml.safe_load(yaml.safe_dump(card_metadata(other))))
