"""A model's bill of materials with its card, in CycloneDX 1.6 (https://cyclonedx.org/capabilities/mlbom)."""

import uuid

from mlnb import __version__
from mlnb.codec import Json, JsonObject
from mlnb.governance.document_inputs import DataFile, DocumentInputs
from mlnb.methods.contracts.evaluations import Estimate
from mlnb.methods.tasks.task_traits import traits_of

FORMAT = "http://cyclonedx.org/schema/bom-1.6.schema.json"
DATA = "data:raw"  # reference of the data in the document


def model_bill(inputs: DocumentInputs) -> JsonObject:
    """Return the document: the model with its card, its data, and the libraries that it is served with."""
    run, (name, version) = inputs.run, inputs.model
    model, digest = f"model:{name}:{version}", run.require_output("model").digest
    versions = inputs.certificate.versions if inputs.certificate else {"mlnb": run.record.mlnb_version}
    libraries = [_library(library, number) for library, number in sorted(versions.items()) if library != "python"]
    references = [str(library["bom-ref"]) for library in libraries]
    owner = inputs.answer("owner")
    component: JsonObject = {
        "type": "machine-learning-model",
        "bom-ref": model,
        "name": name,
        "version": version,
        "description": f"Predicts {inputs.contract.target or 'an anomaly score'}.",
        "modelCard": _model_card(inputs, model),
        "properties": [
            {"name": "mlnb:run", "value": run.id},
            {"name": "mlnb:model-digest", "value": digest},
            *([{"name": "mlnb:owner", "value": owner}] if owner else []),
        ],
    }
    return {
        "$schema": FORMAT,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'{run.id} {digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": run.record.finished or run.record.started,
            "tools": {"components": [{"type": "application", "name": "mlnb", "version": __version__}]},
            "component": component,
        },
        "components": [_data(inputs.data), *libraries],
        "dependencies": [{"ref": model, "dependsOn": sorted([DATA, *references])}],
    }


def _model_card(inputs: DocumentInputs, model: str) -> JsonObject:
    contract, metrics = inputs.contract, inputs.metrics
    traits = traits_of(contract.task)
    used = [column for column in inputs.data.columns if column.role == "feature"]
    return {
        "bom-ref": f"{model}:card",
        "modelParameters": {
            "approach": {"type": "supervised" if traits.supervised else "unsupervised"},
            "task": traits.title,
            "architectureFamily": metrics.family or "unknown",
            "datasets": [{"ref": DATA}],
            "inputs": [{"format": f"{column.name}: {column.kind}"} for column in used],
            "outputs": [{"format": f"{contract.target or 'anomaly score'}: {traits.response}"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _performance(inputs)},
        "considerations": _considerations(inputs),
    }


def _performance(inputs: DocumentInputs) -> list[JsonObject]:
    """Return every score on the test rows, and the deciding metric of slices; numbers are texts in this format."""
    metrics = inputs.metrics
    scores = [_score(name, estimate, "test rows") for name, estimate in metrics.estimates().items()]
    slices = [
        _score(metrics.deciding.name, Estimate(value=one.metric), f"test rows with {one.name}")
        for one in metrics.slices.slices
    ]
    return [score for score in [*scores, *slices] if "value" in score]


def _score(metric: str, estimate: Estimate, rows: str) -> JsonObject:
    score: dict[str, Json] = {"type": metric, "slice": rows}
    if estimate.value is not None:
        score["value"] = repr(estimate.value)
    if estimate.low is not None and estimate.high is not None:
        score["confidenceInterval"] = {"lowerBound": repr(estimate.low), "upperBound": repr(estimate.high)}
    return score


def _considerations(inputs: DocumentInputs) -> JsonObject:
    """Return what people have answered; open questions are left out."""
    parts: dict[str, Json] = {}
    if use := inputs.answer("intended_use"):
        parts["useCases"] = [use]
    if limits := inputs.answer("excluded_uses"):
        parts["technicalLimitations"] = [f"Not to be used for: {limits}"]
    if risk := inputs.answer("risk"):
        oversight = inputs.answer("oversight")
        parts["ethicalConsiderations"] = [{"name": risk} | ({"mitigationStrategy": oversight} if oversight else {})]
    if groups := inputs.answer("groups"):
        parts["fairnessAssessments"] = [{"groupAtRisk": groups}]
    return parts


def _data(data: DataFile) -> JsonObject:
    content: dict[str, Json] = {
        "type": "dataset",
        "name": data.name,
        "description": f"{data.rows} rows from {data.source}",
    }
    if data.owner:
        content["governance"] = {"owners": [{"organization": {"name": data.owner}}]}
    if personal := sorted({column.personal for column in data.columns if column.personal}):
        content["sensitiveData"] = personal
    component: dict[str, Json] = {"type": "data", "bom-ref": DATA, "name": data.name, "data": [content]}
    if data.digest:
        component["hashes"] = [{"alg": "SHA-256", "content": data.digest}]
    if data.licence:
        component["licenses"] = [{"license": {"name": data.licence}}]
    return component


def _library(name: str, version: str) -> JsonObject:
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
