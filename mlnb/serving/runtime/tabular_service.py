"""Rows of a table, each answered alone: classes with their probabilities, or a value with its interval."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mlnb.methods.contracts.responses import Response, SumExplanation
from mlnb.methods.decisions.decisions import choose_classes, decide
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.models.shap_values import share_out
from mlnb.methods.tables.columns import check_rows, to_arrays
from mlnb.methods.tasks.responders import compile_responder, respond
from mlnb.serving.runtime.request_bodies import BadRequest, BadRows
from mlnb.serving.runtime.row_scorers import compile_scorer
from mlnb.serving.runtime.service_parts import Parts, Row, Task
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
        self._respond_one = compile_responder(parts.contract, parts.decision)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return one response a row; raises `BadRows` when one does not fit the schema."""
        encoded = [row for row in map(self._encode, rows) if row is not None]
        if len(encoded) < len(rows):  # a row that does not fit, or that only the batch's way can read
            return self._respond_to_matrix(self.encoder.transform(self.read(rows)))
        if len(rows) <= FEW:
            return [self._respond_one(self._score(row)) for row in encoded]
        return self._respond_to_matrix(np.array(encoded))

    def respond_to_table(self, table: Any) -> Sequence[Response]:
        """Return one response a row of a pyarrow table; raises `BadRows` when one does not fit the schema."""
        arrays = read_columns(table, self.parts.schema)
        return self._respond_to_matrix(self.encoder.transform(arrays)) if table.num_rows else []

    def _respond_to_matrix(self, encoded: np.ndarray) -> Sequence[Response]:
        return respond(predict(self.parts.model, encoded), self.parts.contract, self.parts.decision)

    def read(self, rows: list[Row]) -> dict[str, np.ndarray]:
        """Return the rows as columns; raises `BadRows` when one does not fit the schema."""
        problems = check_rows(rows, self.parts.schema)
        if problems:
            raise BadRows(problems)
        return to_arrays(rows, self.parts.schema)

    def explain(self, rows: list[Row]) -> Sequence[SumExplanation]:
        """Return what each column added to each row's raw score.

        Of two classes the score is the second's, of more it is that of the class that is answered. Raises
        `BadRows`, and `BadRequest` when the model's score is no sum.
        """
        arrays = self.read(rows)
        if not rows:
            return []
        encoded = self.encoder.transform(arrays)
        contract, model = self.parts.contract, self.parts.model
        labels: np.ndarray | None = None
        names: list[str | None] = [None] * len(rows)
        if contract.classes:
            final = decide(predict(model, encoded), self.parts.decision, contract)
            labels = choose_classes(final, self.parts.decision)
            names = [contract.classes[1 if len(contract.classes) == 2 else label] for label in labels.tolist()]
        try:
            parts, base, columns = share_out(model, encoded, self.encoder.sources, labels)
        except ValueError as error:
            raise BadRequest(f"this model's predictions cannot be explained: {error}", []) from None
        scores = (parts.sum(axis=1) + base).tolist()
        return [
            SumExplanation(class_name=name, score=score, base=start, columns=dict(zip(columns, shares, strict=True)))
            for name, score, start, shares in zip(names, scores, base.tolist(), parts.tolist(), strict=True)
        ]
