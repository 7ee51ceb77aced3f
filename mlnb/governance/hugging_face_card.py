"""The model card for Hugging Face: metadata as YAML (https://huggingface.co/docs/hub/model-cards), then the text."""

import yaml

from mlnb.codec import Json, JsonObject
from mlnb.governance.document_inputs import DocumentInputs
from mlnb.methods.tasks.task_traits import TaskTraits, traits_of


def hugging_face_card(inputs: DocumentInputs, card: str) -> str:
    """Return the README.md of a repository on Hugging Face.

    Args:
        inputs: The artifacts of the run.
        card: The model card as Markdown.
    """
    metadata = yaml.safe_dump(card_metadata(inputs), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{metadata}---\n\n{card}"


def card_metadata(inputs: DocumentInputs) -> JsonObject:
    """Return the metadata of the card; undefined scores and the licence of the model are left out."""
    task, metrics = inputs.contract.task, inputs.metrics
    pipeline = _pipeline_tag(traits_of(task))
    values = {name: score.value for name, score in metrics.estimates().items() if score.value is not None}
    result: JsonObject = {
        "task": {"type": pipeline or str(task), "name": str(task)},
        "dataset": {"type": "tabular", "name": inputs.data.name, "split": "test"},
        "metrics": [{"type": name, "name": name, "value": value} for name, value in values.items()],
    }
    metadata: dict[str, Json] = {"library_name": "mlnb", "tags": ["tabular", str(task), metrics.family]}
    if pipeline:
        metadata["pipeline_tag"] = pipeline
    metadata["metrics"] = list(values)
    metadata["model-index"] = [{"name": inputs.model[0], "results": [result]}] if values else []
    return metadata


def _pipeline_tag(traits: TaskTraits) -> str:
    """Return what Hugging Face calls a problem type; empty where it has no name for it."""
    if traits.unit == "history":
        return "time-series-forecasting"
    if traits.classes != "none":
        return "tabular-classification"
    return "tabular-regression" if traits.response == "value" else ""
