"""Rows of a table, each answered alone: classes with their probabilities, or a value with its interval."""

from typing import Any, ClassVar

from mlnb.methods.columns import check_rows, to_arrays
from mlnb.methods.encoders import Encoder
from mlnb.methods.models import answers, predict
from mlnb.serving.bodies import BadRows
from mlnb.serving.parts import Answer, Parts, Row


class Tabular:
    """Answers rows by encoder and model; what it says of a row does not depend on the others."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.encoder = Encoder.from_json(parts.encoder)

    def answer(self, rows: list[Row]) -> list[Answer]:
        """Return one answer a row, shaped by `answers`; raises `BadRows` when one does not fit the schema."""
        problems = check_rows(rows, self.parts.schema)
        if problems:
            raise BadRows(problems)
        if not rows:
            return []
        encoded = self.encoder.transform(to_arrays(rows, self.parts.schema))
        return answers(predict(self.parts.model, encoded), self.parts.contract)


def describe_classes(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema properties of an answer of a classifier: the class, and each class's probability."""
    each = {name: {"type": "number", "minimum": 0.0, "maximum": 1.0} for name in contract["classes"]}
    return {
        "prediction": {"type": "string", "enum": list(contract["classes"])},
        "probabilities": {"type": "object", "properties": each},
    }


def describe_value(contract: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema properties of an answer of a regression: the value."""
    return {"prediction": {"type": "number"}}
