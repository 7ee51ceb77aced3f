"""The parts of a served model: contract, schema, encoder, fitted model and decision, read from a bundle."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlnb.codec import JsonObject, Record, decode
from mlnb.methods.contracts.decisions import Decision
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.decisions.decision_rules import read_decision
from mlnb.methods.encoding.embedding_sources import locate
from mlnb.methods.models.fitted_models import Model, load_model
from mlnb.methods.tables.columns import Schema

EXAMPLE = "example.json"  # file of a bundle's folder `model`
R = TypeVar("R", bound=Record)
Row = JsonObject  # one row of a table: values by name of the column


@dataclass(frozen=True)
class ModelParts:
    """Everything that is needed to respond to a row.

    Attributes:
        contract: task, classes and the other fields of the problem contract.
        schema: the columns that rows are checked against.
        encoder: fitted on the training rows only, as JSON.
        model: the fitted model.
        decision: calibration, threshold and interval that were fitted with the model.
    """

    contract: ProblemContract
    schema: Schema
    encoder: JsonObject
    model: Model
    decision: Decision

    @classmethod
    def load(cls, folder: Path) -> "ModelParts":
        """Return the parts in a bundle's folder `model`.

        Raises:
            OSError: a file is missing.
            ValueError: a file is damaged, or of another schema version (`SchemaError`).
        """
        contract = read_record(ProblemContract, folder / "contract.json")
        schema, encoder = (read_json(folder / f"{name}.json") for name in ("schema", "encoder"))
        fitted = folder / "fitted"
        encoder = locate(encoder, folder)
        return cls(contract, Schema.from_json(schema), encoder, load_model(fitted), read_decision(fitted))


def read_record(cls: type[R], path: Path) -> R:
    """Return the typed record in a file.

    Raises:
        OSError: the file cannot be read.
        SchemaError: it holds something else, or another version; the message names the file and the field.
    """
    return decode(cls, path.read_bytes(), str(path))


def read_example(folder: Path) -> Golden:
    """Return a request of no real row, and its response; empty in bundles of earlier versions."""
    path = folder / EXAMPLE
    return read_record(Golden, path) if path.exists() else Golden(rows=[], predictions=[])


def read_json(path: Path) -> Any:
    """Return the value in a JSON file."""
    return json.loads(path.read_text("utf-8"))
