"""Rows of a table, each answered alone: classes with their probabilities, or a value with its interval."""

from typing import Any, ClassVar

import numpy as np

from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.decisions.decisions import answers, choose_classes, decide
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.shap_values import share_out
from mlnb.methods.tables.columns import check_rows, to_arrays
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.row_responses import compile_answer
from mlnb.serving.runtime.row_scorers import compile_scorer
from mlnb.serving.runtime.service_parts import Answer, Parts, Row, Task
from mlnb.serving.runtime.table_bodies import read_columns

FEW = 16  # rows that are scored one by one: a call for a matrix costs as much


class Tabular(Task):
    """Answers rows by encoder, model and decision; what it says of a row does not depend on the others."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self.encoder = Encoder.from_json(parts.encoder)
        self._encode = compile_row(parts.schema, self.encoder)
        self._score = compile_scorer(parts.model)
        self._say = compile_answer(parts.contract, parts.decision)

    def answer(self, rows: list[Row]) -> list[Answer]:
        """Return one answer a row; raises `BadRows` when one does not fit the schema."""
        encoded = [row for row in map(self._encode, rows) if row is not None]
        if len(encoded) < len(rows):  # a row that does not fit, or that only the batch's way can read
            return self._answer_matrix(self.encoder.transform(self.read(rows)))
        if len(rows) <= FEW:
            return [self._say(self._score(row)) for row in encoded]
        return self._answer_matrix(np.array(encoded))

    def answer_table(self, table: Any) -> list[Answer]:
        """Return one answer a row of a pyarrow table; raises `BadRows` when one does not fit the schema."""
        arrays = read_columns(table, self.parts.schema)
        return self._answer_matrix(self.encoder.transform(arrays)) if table.num_rows else []

    def _answer_matrix(self, encoded: np.ndarray) -> list[Answer]:
        prediction = predict(self.parts.model, encoded)
        said: list[Answer] = answers(prediction, self.parts.contract, self.parts.decision)
        return said

    def read(self, rows: list[Row]) -> dict[str, np.ndarray]:
        """Return the rows as columns; raises `BadRows` when one does not fit the schema."""
        problems = check_rows(rows, self.parts.schema)
        if problems:
            raise BadRows(problems)
        return to_arrays(rows, self.parts.schema)

    def explain(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Return what each column added to each row's raw score: "base" and "columns" add up to "score".

        Of two classes the score is the second's, of more it is that of the class that is answered. Raises
        `BadRows`, and `BadRequest` when the model's score is no sum.
        """
        arrays = self.read(rows)
        if not rows:
            return []
        encoded = self.encoder.transform(arrays)
        contract, model = self.parts.contract, self.parts.model
        said, of = None, [None] * len(rows)
        if contract.classes:
            final = decide(predict(model, encoded), self.parts.decision, contract)
            said = choose_classes(final, self.parts.decision)
            of = [contract.classes[1 if len(contract.classes) == 2 else label] for label in said.tolist()]
        try:
            parts, base, columns = share_out(model, encoded, self.encoder.sources, said)
        except ValueError as error:
            raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
        return [
            {"class": name, "score": score, "base": start, "columns": dict(zip(columns, shares, strict=True))}
            for name, score, start, shares in zip(
                of, (parts.sum(axis=1) + base).tolist(), base.tolist(), parts.tolist(), strict=True
            )
        ]


def describe_classes(contract: ProblemContract) -> dict[str, Any]:
    """Return the JSON Schema properties of an answer of a classifier: the class, and each class's probability."""
    each = {name: {"type": "number", "minimum": 0.0, "maximum": 1.0} for name in contract.classes}
    return {
        "prediction": {"type": "string", "enum": list(contract.classes)},
        "probabilities": {"type": "object", "properties": each, "required": list(contract.classes)},
    }


def describe_value(contract: ProblemContract) -> dict[str, Any]:
    """Return the JSON Schema properties of an answer of a regression: the value and its interval, in one unit."""
    number = {"type": "number", "description": f"in {contract.unit or 'the unit of the target'}"}
    return {"prediction": number, "interval": {"type": "object", "properties": {"low": number, "high": number}}}
