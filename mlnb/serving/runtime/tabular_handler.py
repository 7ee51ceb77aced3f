"""Classification and regression: each row is encoded, scored and decided independently of the others."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from mlnb.methods.contracts.responses import Response, SumExplanation
from mlnb.methods.decisions.decision_rules import choose_classes, decide
from mlnb.methods.encoding.row_encoder import compile_row
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.fitted_models import predict
from mlnb.methods.tasks.responders import compile_responder, respond
from mlnb.serving.runtime.model_parts import ModelParts, Row
from mlnb.serving.runtime.request_handler import RequestHandler
from mlnb.serving.runtime.row_scorers import compile_scorer
from mlnb.serving.runtime.sum_explanations import explain_sums
from mlnb.serving.runtime.table_bodies import TableSlice, read_columns

FEW = 16  # rows up to which scoring one by one is as fast as one call with a matrix


class TabularHandler(RequestHandler):
    """Responds to rows with a class and its probabilities, or with a value and its interval."""

    independent: ClassVar[bool] = True

    def __init__(self, parts: ModelParts) -> None:
        super().__init__(parts)
        self.encoder = Encoder.from_json(parts.encoder)
        self._encode = compile_row(parts.schema, self.encoder)
        self._score = compile_scorer(parts.model)
        self._respond_one = compile_responder(parts.contract, parts.decision)

    def respond(self, rows: list[Row]) -> Sequence[Response]:
        """Return one response a row. Raises `BadRows` when one does not fit the schema."""
        encoded = [row for row in map(self._encode, rows) if row is not None]
        if len(encoded) < len(rows):  # a row that does not fit, or whose values only the table encoder reads
            return self._respond_to_matrix(self.encoder.transform(self.read(rows)))
        if len(rows) <= FEW:
            return [self._respond_one(self._score(row)) for row in encoded]
        return self._respond_to_matrix(np.array(encoded))

    def respond_to_table(self, table: TableSlice) -> Sequence[Response]:
        """Return one response a row of a table. Raises `BadRows` when one does not fit the schema."""
        arrays = read_columns(table, self.parts.schema)
        return self._respond_to_matrix(self.encoder.transform(arrays)) if table.rows else []

    def _respond_to_matrix(self, encoded: np.ndarray) -> list[Response]:
        return respond(predict(self.parts.model, encoded), self.parts.contract, self.parts.decision)

    def explain(self, rows: list[Row]) -> Sequence[SumExplanation]:
        """Return what each column added to each row's raw score, and the words that count in its texts.

        Raises:
            BadRows: a row does not fit the schema.
            BadRequest: the model's score is not a sum over columns.
        """
        arrays = self.read(rows)
        if not rows:
            return []
        encoded = self.encoder.transform(arrays)
        contract, model = self.parts.contract, self.parts.model
        if not contract.classes:
            return explain_sums(model, self.encoder, arrays, encoded)
        labels = choose_classes(decide(predict(model, encoded), self.parts.decision, contract), self.parts.decision)
        names = [contract.classes[1 if len(contract.classes) == 2 else label] for label in labels.tolist()]
        return explain_sums(model, self.encoder, arrays, encoded, labels, names)
